#include "models/finite.h"

#include <torch/types.h>

#include <cmath>

#include "error.h"

namespace previt {

void require_finite(const NamedTensors& tensors, const std::string& place) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point()) continue;
    // A finite sum takes no memory and proves it; another may only be too large.
    if (std::isfinite(tensor.sum().item<double>())) continue;
    require(
        torch::isfinite(tensor).all().item<bool>(), "{}: {} holds NaN or infinity", place, name);
  }
}

}  // namespace previt
