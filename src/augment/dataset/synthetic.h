#pragma once

#include <array>
#include <memory>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// What tells a scene's class: the outline of an object, with its pattern and hue too, or the layout
/// of a flag (make_synthetic).
enum class SceneKind { shapes, species, flags };
constexpr auto enum_names(SceneKind) { return std::array{"shapes", "species", "flags"}; }

/// What follows `synthetic:` in a data path: the kind, then key=value pairs, for example
/// "shapes,size=64,count=2000".
struct SyntheticOptions {
  SceneKind kind = SceneKind::shapes;
  int64_t size = 64;     ///< pixels per side
  int64_t count = 2000;  ///< training samples
  int64_t val = 500;     ///< validation samples
  int64_t seed = 0;
  int64_t labels = 0;  ///< training samples kept of each class; 0: all
};

/// Reads such a text. Throws UsageError, with the nearest valid key for a typo.
SyntheticOptions parse_synthetic(const std::string& spec);

/// Generated scenes: an object of one of ten shapes, textured and slightly tilted, at a random
/// place and size on a textured background with fragments lying about. In `shapes` only the outline
/// tells the class. In `species` each class also has its own pattern and hue, as animals do. In
/// `flags` a flag of one of ten layouts fills the picture, in plain colours that tell nothing. Sample
/// i has class i % 10 and is the same for the same seed, whatever `count` is. Training and
/// validation share no scene; `all` is one after the other. Throws Error if options.val leaves
/// nothing to validate on.
std::shared_ptr<Dataset> make_synthetic(const SyntheticOptions& options, Split split);

}  // namespace previt
