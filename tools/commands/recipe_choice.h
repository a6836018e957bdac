#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt::cli {

/// What is known of the images before any is decoded.
struct ImageFacts {
  int64_t images = 0;
  int64_t short_side = 0;  ///< pixels, the median of those looked at
  bool one_size = false;   ///< whether those looked at have one and the same size
};

/// Looks at the headers of 100 images, spread evenly. Throws Error, led by `path`, if none of them
/// can be read.
ImageFacts look_at(const Dataset& images, const std::string& path);

/// What the run has to compute with.
struct MachineFacts {
  bool gpu = false;
  int64_t cores = 1;
};

/// A recipe for these images, and why it is so.
struct RecipeChoice {
  std::string recipe;                ///< YAML, without data.path
  std::vector<std::string> reasons;  ///< lines for the user
};

/// Chooses a recipe by the tables in recipe_choice.cpp. objective: mae, dino or simmim; "": mae.
/// Throws UsageError for another one, and Error, led by `path`, for too few images.
RecipeChoice choose_recipe(const ImageFacts& images,
                           const MachineFacts& machine,
                           const std::string& objective,
                           const std::string& path);

}  // namespace previt::cli
