#pragma once

#include <string>
#include <vector>

#include "finetune/finetune_options.h"
#include "pretrain/pretrain_run.h"

namespace previt::test {

/// recipes/ of the project, with a slash at the end.
std::string recipe_folder();

/// Paths of all its recipes, sorted.
std::vector<std::string> all_recipes();

/// A recipe with assignments as of --set.
PretrainRun pretraining(const std::string& path, const std::vector<std::string>& changes = {});

/// The same for fine-tuning, trained from random weights, as no checkpoint is at hand.
FinetuneRun finetuning(const std::string& path, std::vector<std::string> changes = {});

}  // namespace previt::test
