#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <string>

#include "models/weights/load_model.h"
#include "recipe.h"

namespace previt::cli {

namespace po = boost::program_options;

/// Adds --from with its `help`, and --weights.
void add_from_option(po::options_description& options, const char* help);

/// Adds --set for tools without a recipe: what the weights don't say about their model, and how
/// pixels are normalised.
void add_model_option(po::options_description& options);

/// Loads what --from names. Logs which of several networks it is, and what was found wrong. Throws
/// Error where it can't be read. The options add to `hints`.
LoadedModel load_from(const po::variables_map& args, LoadHints hints = {});

/// What keys of --set are that aren't about the model: an error, or the tool's own business.
enum class OtherKeys { wrong, own };

/// As load_from, for weights that are used as they are. The model's keys of --set may add what the
/// weights don't say, and normalize.mean and normalize.std replace what they do. Throws UsageError
/// where the model's contradict the weights, or the others aren't a number for each channel.
LoadedModel load_frozen(const po::variables_map& args,
                        OtherKeys others = OtherKeys::wrong,
                        const LoadHints& hints = {});

/// Whether an assignment of --set is about the model, the normalisation of its pixels included.
bool is_model_key(const std::string& assignment);

/// Applies to `recipe` the assignments of --set that `take` accepts, or all without `take`.
void apply_settings(Recipe& recipe,
                    const po::variables_map& args,
                    const std::function<bool(const std::string&)>& take = {});

}  // namespace previt::cli
