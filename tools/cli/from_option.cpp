#include "cli/from_option.h"

#include <set>

#include "error.h"
#include "finetune/model.h"
#include "json_options.h"
#include "log.h"

namespace previt::cli {
namespace {

struct ModelSection {
  VitOptions model;
};
void visit(FieldVisitor& v, ModelSection& o) { v.section("model", o.model); }

// `model` as the assignments of --set that `take` accepts change it.
VitOptions described(const po::variables_map& args,
                     const VitOptions& model,
                     const std::function<bool(const std::string&)>& take) {
  Recipe recipe = Recipe::parse("", "--set");
  apply_settings(recipe, args, take);
  ModelSection section{model};
  recipe.read(section);
  recipe.require_all_read();
  return section.model;
}

void add_hints(const po::variables_map& args, LoadHints& hints) {
  if (args.count("weights") > 0) hints.network = args["weights"].as<std::string>();
  VitOptions unknown;
  unknown.image_size.clear();
  hints.image_size = described(args, unknown, [](const std::string& assignment) {
                       return assignment.starts_with("model.image_size=");
                     }).image_size;
}

// Throws UsageError where --set contradicts the weights, which tell all but what is `untold`.
void require_no_contradiction(const VitOptions& wanted, const LoadedModel& loaded) {
  std::set<std::string> untold = {"arch", "norm_eps", "pos_resize"};
  if (!loaded.heads_told) untold.insert("num_heads");
  const bool any_size =
      loaded.options.pos_embed == PosEmbed::none && loaded.options.rel_pos_bias == RelPosBias::none;
  if (any_size) untold.insert("image_size");
  const auto want = options_to_json(wanted), have = options_to_json(loaded.options);
  for (const auto& [key, value] : want.items()) {
    if (untold.contains(key) || have.at(key) == value) continue;
    fail_usage(
        "model.{}: {}, but {} has {}", key, value.dump(), loaded.source, have.at(key).dump());
  }
}

}  // namespace

void add_from_option(po::options_description& options, const char* help) {
  auto add = options.add_options();
  add("from", po::value<std::string>()->required(), help);
  add("weights",
      po::value<std::string>(),
      "which of several networks in a file: model, ema (moving average), teacher, student, or its "
      "key");
}

void add_model_option(po::options_description& options) {
  options.add_options()("set",
                        po::value<std::vector<std::string>>()->composing(),
                        "model.KEY=VALUE that the weights don't tell, as model.num_heads=6; may be "
                        "given again");
}

LoadedModel load_from(const po::variables_map& args, LoadHints hints) {
  add_hints(args, hints);
  std::vector<std::string> warnings;
  LoadedModel loaded = load_model(args["from"].as<std::string>(), &warnings, hints);
  for (const std::string& warning : warnings) log_warning(warning);
  if (!loaded.choice.empty()) info("{}: {} (--weights chooses)", loaded.source, loaded.choice);
  return loaded;
}

bool is_model_key(const std::string& assignment) { return assignment.starts_with("model."); }

void apply_settings(Recipe& recipe,
                    const po::variables_map& args,
                    const std::function<bool(const std::string&)>& take) {
  if (args.count("set") == 0) return;
  for (const auto& assignment : args["set"].as<std::vector<std::string>>()) {
    if (!take || take(assignment)) recipe.set(assignment);
  }
}

LoadedModel load_frozen(const po::variables_map& args, OtherKeys others, const LoadHints& hints) {
  LoadedModel loaded = load_from(args, hints);
  const auto take = [&](const std::string& assignment) {
    return others == OtherKeys::wrong || is_model_key(assignment);
  };
  const VitOptions wanted = described(args, loaded.options, take);
  require_no_contradiction(wanted, loaded);
  loaded.options = wanted;
  return loaded;
}

}  // namespace previt::cli
