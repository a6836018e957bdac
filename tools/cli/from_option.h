#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <string>

#include "models/weights/load_model.h"
#include "recipe.h"

namespace previt::cli {

namespace po = boost::program_options;

/// --from with its `help`, and --weights.
void add_from_option(po::options_description& options, const char* help);

/// --set for tools without a recipe: what the weights don't tell of their model.
void add_model_option(po::options_description& options);

/// What --from names. Says which of several networks it is, and what was wrong on the way to it.
LoadedModel load_from(const po::variables_map& args);

/// The same to be used as it is: with --set's model.… keys, which may tell what the weights don't
/// and not contradict them. Of other keys of --set they are a tool's own or wrong.
enum class OtherKeys { wrong, own };
LoadedModel load_frozen(const po::variables_map& args, OtherKeys others = OtherKeys::wrong);

/// Whether an assignment of --set is about the model.
bool is_model_key(const std::string& assignment);

/// Applies to `recipe` those assignments of --set that `take` likes, all where there is none.
void apply_settings(Recipe& recipe,
                    const po::variables_map& args,
                    const std::function<bool(const std::string&)>& take = {});

}  // namespace previt::cli
