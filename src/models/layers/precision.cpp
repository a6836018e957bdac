#include "models/layers/precision.h"

namespace previt {
namespace {
thread_local at::ScalarType current = at::kFloat;
}

at::ScalarType compute_type() { return current; }

ComputeTypeGuard::ComputeTypeGuard(at::ScalarType type) : previous_(current) { current = type; }
ComputeTypeGuard::~ComputeTypeGuard() { current = previous_; }

}  // namespace previt
