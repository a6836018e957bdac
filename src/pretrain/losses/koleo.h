#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// Rows scaled to length 1, float32, with the nearest other row of each by dot product.
struct NearestRows {
  at::Tensor rows;     ///< [R, D]
  at::Tensor nearest;  ///< [R] int64
};
/// features [R, D] of any float type. Throws Error for fewer than two rows.
NearestRows nearest_rows(const at::Tensor& features);

/// KoLeo regulariser (Sablayrolles et al. 2019; dinov2/loss/koleo_loss.py): -mean log of the
/// distance from each row to its nearest other row, rows scaled to length 1. It spreads features
/// over the sphere. features [R, D], R at least 2 → float32 scalar.
at::Tensor koleo_loss(const at::Tensor& features);

}  // namespace previt
