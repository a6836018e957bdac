#pragma once

#include <c10/core/ScalarType.h>

namespace previt {

/// The type that layers compute in, for this thread. Parameters stay float32; with bfloat16 the layers
/// feed their products bfloat16 copies of the weights, made once per weight version, and keep statistics
/// (norms, softmax, losses) in float32.
at::ScalarType compute_type();

/// Sets compute_type() for a scope.
class ComputeTypeGuard {
 public:
  explicit ComputeTypeGuard(at::ScalarType type);
  ~ComputeTypeGuard();
  ComputeTypeGuard(const ComputeTypeGuard&) = delete;
  ComputeTypeGuard& operator=(const ComputeTypeGuard&) = delete;

 private:
  at::ScalarType previous_;
};

}  // namespace previt
