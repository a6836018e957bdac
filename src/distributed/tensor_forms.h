#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// How gloo can add up a tensor: on the CPU, contiguous, and in a type that it knows. A tensor that
/// is already so is given back itself. bfloat16 and float16 become float32, so that a sum is
/// rounded once; bool becomes int32.
at::Tensor as_gloo_adds(const at::Tensor& tensor);

/// The bytes of a tensor of any type, on the CPU, (bytes); shared with it where that is possible.
at::Tensor as_bytes(const at::Tensor& tensor);

}  // namespace previt
