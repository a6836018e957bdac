#pragma once

#include <boost/program_options.hpp>
#include <memory>
#include <string>

#include "augment/dataset/dataset.h"
#include "pretrain/pretrain_run.h"
#include "recipe.h"

namespace previt::cli {

namespace po = boost::program_options;

/// Where the recipe of a pretraining command comes from.
struct FoundRecipe {
  Recipe recipe;
  bool chosen = false;                        ///< for the images of --data
  bool resumed = false;                       ///< the one that the run wrote into its folder
  std::shared_ptr<Dataset> images = nullptr;  ///< those that it was chosen for
};

/// --recipe; without it, with --resume that of the run folder, else one chosen for the images of
/// --data, and lines that say why (recipe_choice.h). A run that goes on with --time-budget has that
/// of its folder in any case, as the budget decided some of its keys. Throws UsageError where
/// nothing says what to train.
FoundRecipe find_pretrain_recipe(const po::variables_map& args);

/// --out, or runs/<name of the recipe>, or without a recipe runs/<name of the images>.
std::string run_folder(const po::variables_map& args);

/// Throws UsageError, which begins with the key, where something that the recipe names isn't there:
/// the images (unless --data names others), BEiT's tokenizer, or VQ-KD's teacher.
void require_inputs(const PretrainRun& run, const po::variables_map& args);

/// --time-budget in seconds; 0 without it. Throws UsageError for what is no time.
double time_budget(const po::variables_map& args);

}  // namespace previt::cli
