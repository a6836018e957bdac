#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// weight in `type`: itself when it has it, else a copy that is kept until the weight changes (its
/// storage or its version; writing through Tensor::data() goes unseen, change weights in place
/// under a NoGradGuard). Temporaries (results of operations) and vectors are copied each time. Not
/// differentiable.
at::Tensor weight_as(const at::Tensor& weight, at::ScalarType type);

}  // namespace previt
