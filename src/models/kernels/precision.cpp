#include "models/kernels/precision.h"

#include <utility>

#include "gpu_programs.h"

namespace previt {
namespace {
thread_local at::ScalarType current = at::kFloat;
}  // namespace

at::ScalarType compute_type() { return current; }

ComputeTypeGuard::ComputeTypeGuard(at::ScalarType type) : previous_(current) { current = type; }
ComputeTypeGuard::~ComputeTypeGuard() { current = previous_; }

bool use_cpu_kernels(const at::Tensor& x) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return !plain_kernels() && x.is_cpu() && known &&
         (current == at::kFloat || current == at::kBFloat16);
}

PlainKernelsGuard::PlainKernelsGuard() : previous_(std::exchange(plain_kernels(), true)) {}
PlainKernelsGuard::~PlainKernelsGuard() { plain_kernels() = previous_; }

}  // namespace previt
