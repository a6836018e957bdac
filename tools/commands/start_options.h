#pragma once

#include <boost/program_options.hpp>
#include <memory>
#include <string>

#include "models/weights/load_model.h"
#include "recipe.h"

namespace previt::cli {

namespace po = boost::program_options;

/// --allow, for pretraining and fine-tuning; the recipe's key is model.allow.
void add_allow_option(po::options_description& options);
void apply_allow_option(Recipe& recipe, const po::variables_map& args);

/// Adds --from, --weights, --allow, --freeze-blocks and --freeze-epochs.
void add_start_options(po::options_description& options);

/// Writes these options into the recipe, whose keys they stand for.
void apply_start_options(Recipe& recipe, const po::variables_map& args);

/// The weights that the recipe's model.from names; null if it names none. The recipe then has their
/// absolute path and their checksum. Throws Error where they can't be read, and UsageError where
/// the recipe wants another checksum.
///
/// `resumed`: the folder of a run that goes on; "": none. Once it has a checkpoint, its weights are
/// there: nothing else is read, and what is returned tells only the architecture that the run took
/// over, without weights.
std::shared_ptr<const LoadedModel> load_source(Recipe& recipe, const std::string& resumed);

}  // namespace previt::cli
