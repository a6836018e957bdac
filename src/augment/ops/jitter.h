#pragma once

#include <array>

namespace previt {

/// What torchvision's ColorJitter draws: factors, and the order in which they are applied.
struct Jitter {
  std::array<int, 4> order = {0, 1, 2, 3};  ///< 0 brightness, 1 contrast, 2 saturation, 3 hue
  double brightness = 1, contrast = 1, saturation = 1, hue = 0;  ///< hue in turns
};

}  // namespace previt
