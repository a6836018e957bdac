#pragma once

#include <string>
#include <vector>

#include "finetune/finetune_options.h"
#include "pretrain/pretrain_run.h"

namespace previt::test {

/// The path of the project's recipes/, with a slash at the end.
std::string recipe_folder();

/// The paths of all recipes in it, sorted.
std::vector<std::string> all_recipes();

/// The pretraining run of a recipe, with `changes` as in --set.
PretrainRun pretraining(const std::string& path, const std::vector<std::string>& changes = {});

/// The same for fine-tuning, from random weights and with a new head, as no checkpoint is at hand.
FinetuneRun finetuning(const std::string& path, const std::vector<std::string>& changes = {});

}  // namespace previt::test
