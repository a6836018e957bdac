#include "models/weights/finite.h"

#include <torch/types.h>

#include <cmath>

#include "error.h"

namespace previt {

std::string not_finite(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point()) continue;
    // A finite sum proves that all are finite and takes no memory. Another may just be too large.
    if (std::isfinite(tensor.sum().item<double>())) continue;
    if (!torch::isfinite(tensor).all().item<bool>()) return name;
  }
  return "";
}

void require_finite(const NamedTensors& tensors, const std::string& place) {
  const std::string name = not_finite(tensors);
  require(name.empty(), "{}: {} holds NaN or infinity", place, name);
}

}  // namespace previt
