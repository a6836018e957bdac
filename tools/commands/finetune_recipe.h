#pragma once

#include <boost/program_options.hpp>
#include <memory>

#include "augment/dataset/dataset.h"
#include "commands/finetune_job.h"
#include "recipe.h"

namespace previt::cli {

struct ReadFinetuning {
  Recipe recipe;
  FinetuneRun run;
  std::shared_ptr<Dataset> images = nullptr;  ///< those that the recipe was chosen for
};

/// What a `finetune` command says of how to train: --recipe, or without it the recipe of the run
/// that is evaluated or goes on, else one chosen for the number of labelled images
/// (finetune_choice.h) and lines that say why, with the command's own settings on top. Of `job`, all
/// but its run is there. Throws UsageError.
ReadFinetuning read_finetuning(const po::variables_map& args, const FinetuneJob& job);

}  // namespace previt::cli
