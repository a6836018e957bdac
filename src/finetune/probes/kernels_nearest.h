#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// The k rows of `train` most similar to each query, by the dot product, on the CPU. train [N, D]
/// and queries [Q, D] are contiguous float32. The results are written to similarities [Q, k]
/// float32, largest first, and ids [Q, k] int64. Query i must not find row excluded + i; a
/// negative `excluded` leaves none out. Among equal similarities the smaller row comes first, so
/// the result doesn't depend on the threads. Throws Error where a query has fewer than k
/// similarities that can be compared (NaN can't).
void nearest_on_cpu(const at::Tensor& train,
                    const at::Tensor& queries,
                    int64_t excluded,
                    at::Tensor similarities,
                    at::Tensor ids);

}  // namespace previt
