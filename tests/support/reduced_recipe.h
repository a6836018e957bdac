#pragma once

#include <string>
#include <vector>

#include "recipe.h"

namespace previt::test {

/// What makes any network small enough for a test: 16 pixels in 4 x 4 patches.
inline const std::vector<std::string> kSmallModel = {"model.embed_dim=24",
                                                     "model.depth=2",
                                                     "model.num_heads=2",
                                                     "model.image_size=[16]",
                                                     "model.patch_size=4"};

/// The recipe `base`, "" for an objective's defaults, with its model made small and what is in
/// tests/pretrain/objectives/<objective>.yaml on top, which makes the method's own section small.
/// ${source} in that file is the project's folder.
Recipe reduced_recipe(const std::string& objective, const std::string& base = "");

}  // namespace previt::test
