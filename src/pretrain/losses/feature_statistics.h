#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

// How much of their space features use. features [R, D], float.

/// √(1 - ‖mean of the rows at length 1‖²), a scalar tensor: 0 where all rows point one way, 1 where
/// they point all ways.
at::Tensor feature_spread(const at::Tensor& features);

/// RankMe (Garrido et al. 2023): exp of the entropy of the singular values' shares, between 1 and
/// the smaller of R and D.
double effective_rank(const at::Tensor& features);

}  // namespace previt
