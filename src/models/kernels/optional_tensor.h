#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace previt {

/// Custom autograd functions take an undefined tensor only as an empty optional.
inline std::optional<at::Tensor> maybe(const at::Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

}  // namespace previt
