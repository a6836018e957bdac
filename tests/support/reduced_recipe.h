#pragma once

#include <string>
#include <vector>

#include "recipe.h"

namespace previt::test {

/// Settings that make any network small enough for a test: 16 pixels in patches of 4.
inline const std::vector<std::string> kSmallModel = {"model.embed_dim=24",
                                                     "model.depth=2",
                                                     "model.num_heads=2",
                                                     "model.image_size=[16]",
                                                     "model.patch_size=4"};

/// The recipe `base` ("": the objective's defaults), made small by kSmallModel and, for the
/// method's own section, by tests/pretrain/objectives/<objective>.yaml where there is one.
/// ${source} in that file is the project's folder.
Recipe reduced_recipe(const std::string& objective, const std::string& base = "");

}  // namespace previt::test
