#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

// How much of their space features use. features [R, D], float.

/// √(1 - ‖mean‖²), a scalar tensor, where `mean` [1, D] is that of rows of length 1. It is 0 if all
/// rows point the same way, and 1 if they point all ways.
at::Tensor spread_around(const at::Tensor& mean);

/// RankMe (Garrido et al. 2023): exp of the entropy of the singular values' shares, between 1 and
/// the smaller of R and D. NaN if the features aren't finite.
double effective_rank(const at::Tensor& features);

}  // namespace previt
