#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

// Legend: R rows, K centers, D width; all float32.

/// The index of each row's center, int64 [R]: the nearest, or with `cosine` the most similar one.
/// Computed in parts, so that no [R, K] matrix need fit into memory.
at::Tensor nearest_center(const at::Tensor& rows, const at::Tensor& centers, bool cosine = false);

/// How often each number below `kinds` is among `ids`, int64 [R]: float32 [kinds]. On a GPU,
/// bincount would wait to see the largest.
at::Tensor counts_of(const at::Tensor& ids, int64_t kinds);

/// Rows added up by center, [K, D], and the number of rows of each center, float32 [K].
struct ClusterSums {
  at::Tensor sums, counts;
};
/// ids: each row's center, as nearest_center gives it.
ClusterSums cluster_sums(const at::Tensor& rows, const at::Tensor& ids, int64_t centers);

/// What kmeans finds.
struct Clusters {
  at::Tensor means;   ///< [K, D]
  at::Tensor counts;  ///< float32 [K], of the last assignment
};
/// Lloyd's algorithm from given means [K, D] (beit2:norm_ema_quantizer.py kmeans). With `cosine`,
/// rows go to the most similar mean, and means are scaled back to length 1. A mean that gets no row
/// stays where it is.
Clusters kmeans(const at::Tensor& rows, at::Tensor means, int64_t iterations, bool cosine);

}  // namespace previt
