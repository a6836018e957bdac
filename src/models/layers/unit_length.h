#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// x / max(‖x‖, 1e-12) over the last dimension, in the shape of x.
at::Tensor unit_length(const at::Tensor& x);

}  // namespace previt
