#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace previt {

/// The tensor, or an empty optional if it is undefined: custom autograd functions take no undefined
/// tensors.
inline std::optional<at::Tensor> maybe(const at::Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

}  // namespace previt
