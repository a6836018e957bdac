#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// weight in `type`: itself when it has it, else a copy that is kept until the weight changes (its
/// storage or its version; writing through Tensor::data() goes unseen, change weights in place
/// under a NoGradGuard). Temporaries (results of operations) and vectors are copied each time. Not
/// differentiable.
at::Tensor weight_as(const at::Tensor& weight, at::ScalarType type);

/// Notes that `copy`, returned by weight_as, was brought up to date together with the weight.
void refresh_weight(const at::Tensor& weight, const at::Tensor& copy);

/// The copy that weight_as keeps for the weight, whatever its version; undefined: none.
at::Tensor kept_copy(const at::Tensor& weight);

}  // namespace previt
