#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// The type that layers compute in, for this thread. Parameters stay float32; with bfloat16 the
/// layers feed their matmuls bfloat16 copies of the weights (WeightCopy), and keep statistics
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

/// Whether the project's own CPU kernels compute x: it is a float32 or bfloat16 tensor on the CPU,
/// compute_type() is one of these two, and no PlainKernelsGuard is in force. Else LibTorch's
/// operators do, as on other devices.
bool use_cpu_kernels(const at::Tensor& x);

/// For a scope, LibTorch's operators are used in this thread on every device, to compare with them.
class PlainKernelsGuard {
 public:
  PlainKernelsGuard();
  ~PlainKernelsGuard();
  PlainKernelsGuard(const PlainKernelsGuard&) = delete;
  PlainKernelsGuard& operator=(const PlainKernelsGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace previt
