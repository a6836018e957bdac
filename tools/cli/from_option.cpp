#include "cli/from_option.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "error.h"
#include "finetune/model.h"
#include "json_options.h"
#include "log.h"

namespace previt::cli {
namespace {

// What --set may say about weights.
struct Described {
  VitOptions model;
  NormalizeOptions normalize;
};
void visit(FieldVisitor& v, Described& o) {
  v.section("model", o.model);
  v.section("normalize", o.normalize);
}

// `before` as the assignments of --set that `take` accepts change it.
Described described(const po::variables_map& args,
                    Described before,
                    const std::function<bool(const std::string&)>& take) {
  Recipe recipe = Recipe::parse("", "--set");
  apply_settings(recipe, args, take);
  recipe.read(before);
  recipe.require_all_read();
  return before;
}

// Whether an assignment of --set begins so.
bool is_set(const po::variables_map& args, const char* start) {
  if (args.count("set") == 0) return false;
  const auto& all = args["set"].as<std::vector<std::string>>();
  return std::any_of(all.begin(), all.end(), [&](const std::string& assignment) {
    return assignment.starts_with(start);
  });
}

void add_hints(const po::variables_map& args, LoadHints& hints) {
  if (args.count("weights") > 0) hints.network = args["weights"].as<std::string>();
  Described unknown;
  unknown.model.image_size.clear();
  const auto of_size = [](const std::string& assignment) {
    return assignment.starts_with("model.image_size=");
  };
  hints.image_size = described(args, unknown, of_size).model.image_size;
  hints.heads_said = is_set(args, "model.num_heads=") || args.count("heads") > 0;
  hints.normalize_said = is_set(args, "normalize.mean=") && is_set(args, "normalize.std=");
}

// Throws UsageError where --set contradicts the weights, which tell all but what is `untold`.
void require_no_contradiction(const VitOptions& wanted, const LoadedModel& loaded) {
  std::set<std::string> untold = {"arch", "norm_eps", "pos_resize"};
  if (!loaded.heads_told) untold.insert("num_heads");
  if (!loaded.options.has_positions()) untold.insert("image_size");
  const auto want = options_to_json(wanted), have = options_to_json(loaded.options);
  for (const auto& [key, value] : want.items()) {
    if (untold.contains(key) || have.at(key) == value) continue;
    fail_usage(
        "model.{}: {}, but {} has {}", key, value.dump(), loaded.source, have.at(key).dump());
  }
}

void require_all_channels(const NormalizeOptions& normalize, const LoadedModel& loaded) {
  const int64_t channels = loaded.options.in_channels;
  if (std::ssize(normalize.mean) == channels && std::ssize(normalize.std) == channels) return;
  fail_usage("normalize: {} means and {} standard deviations, but {} sees {} channels",
             normalize.mean.size(),
             normalize.std.size(),
             loaded.source,
             channels);
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
                        "model.KEY=VALUE that the weights don't tell, as model.num_heads=6, or "
                        "normalize.mean=[R,G,B] and normalize.std=[R,G,B]; may be given again");
}

LoadedModel load_from(const po::variables_map& args, LoadHints hints) {
  add_hints(args, hints);
  std::vector<std::string> warnings;
  LoadedModel loaded = load_model(args["from"].as<std::string>(), &warnings, hints);
  for (const std::string& warning : warnings) log_warning(warning);
  if (!loaded.choice.empty()) info("{}: {} (--weights chooses)", loaded.source, loaded.choice);
  return loaded;
}

bool is_model_key(const std::string& assignment) {
  return assignment.starts_with("model.") || assignment.starts_with("normalize.");
}

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
  Described wanted = described(args, {loaded.options, loaded.normalize}, take);
  require_no_contradiction(wanted.model, loaded);
  if (is_set(args, "normalize.")) require_all_channels(wanted.normalize, loaded);
  loaded.options = std::move(wanted.model);
  loaded.normalize = std::move(wanted.normalize);
  return loaded;
}

}  // namespace previt::cli
