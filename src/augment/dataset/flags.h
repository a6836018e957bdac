#pragma once

#include <string>
#include <vector>

#include "augment/dataset/shapes.h"

namespace previt {

/// A part of a flag in one of its colours.
struct FlagPart {
  Outline outline;  ///< in the flag's coordinates: x in [-1, 1], y in ± kFlagHeight
  size_t colour;    ///< 0 is the cloth's; fewer than kFlagColours
};

constexpr double kFlagHeight = 0.85;  ///< of a flag whose width is 1
constexpr size_t kFlagColours = 3;

/// The names of the layouts: rows, columns, cross, saltire, disc, quarters, wedge, band, frame,
/// canton.
const std::vector<std::string>& flag_names();

/// The parts of a flag of this layout, from the cloth, which is all of it, to the topmost.
const std::vector<FlagPart>& flag_parts(size_t layout);

}  // namespace previt
