#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

// How much of their space features use. features [R, D], float.

/// √(1 - ‖mean‖²), a scalar tensor, of the mean [1, D] of rows at length 1: 0 where all point one
/// way, 1 where they point all ways.
at::Tensor spread_around(const at::Tensor& mean);

/// RankMe (Garrido et al. 2023): exp of the entropy of the singular values' shares, between 1 and
/// the smaller of R and D.
double effective_rank(const at::Tensor& features);

}  // namespace previt
