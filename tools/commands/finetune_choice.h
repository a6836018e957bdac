#pragma once

#include <cstdint>
#include <string>

#include "commands/recipe_choice.h"
#include "models/vit_options.h"

namespace previt::cli {

/// How a network is fine-tuned on so many labelled images, by the tables in finetune_choice.cpp: a
/// recipe without model and data. `path` leads the reasons.
RecipeChoice choose_finetuning(int64_t images, const VitOptions& model, const std::string& path);

}  // namespace previt::cli
