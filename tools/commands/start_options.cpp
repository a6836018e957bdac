#include "commands/start_options.h"

#include <filesystem>
#include <vector>

#include "error.h"
#include "log.h"
#include "models/weights/checkpoint.h"
#include "pretrain/run_options.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

// The keys of `model:` that say what to start from, of which the recipe may have some.
StartOptions start_in(Recipe& recipe) {
  StartOptions start;
  recipe.read("model", start);
  return start;
}

std::shared_ptr<const LoadedModel> source_of_run(Recipe& recipe, const std::string& folder) {
  Recipe own = Recipe::load(folder + "/recipe.yaml");
  const StartOptions before = start_in(own), now = start_in(recipe);
  if (before.from.empty()) {
    if (!now.from.empty()) {
      fail_usage(
          "--resume: {} did not start from {}; start another run with --out", folder, now.from);
    }
    return nullptr;
  }
  const auto keep = [&](const char* key, const std::string& said, const std::string& kept) {
    if (said.empty()) recipe.set_text(key, kept);
  };
  keep("model.from", now.from, before.from);
  keep("model.from_weights", now.from_weights, before.from_weights);
  keep("model.from_checksum", now.from_checksum, before.from_checksum);
  keep("model.allow", now.allow, before.allow);
  const auto source = std::make_shared<LoadedModel>();
  own.read("model", source->options);
  own.read("normalize", source->normalize);
  source->options = resolve(source->options);
  source->heads_told = true;
  source->source = folder;
  return source;
}

}  // namespace

void add_allow_option(po::options_description& options) {
  options.add_options()(
      "allow",
      po::value<std::vector<std::string>>()->composing(),
      "weights of the backbone that may be missing there or left over, as reg_token or "
      "'blocks.*.ls?.gamma'; may be given again");
}

void apply_allow_option(Recipe& recipe, const po::variables_map& args) {
  if (args.count("allow") == 0) return;
  const auto patterns = args["allow"].as<std::vector<std::string>>();
  recipe.set_text("model.allow", fmt::format("{}", fmt::join(patterns, ",")));
}

void add_start_options(po::options_description& options) {
  auto add = options.add_options();
  add("from",
      po::value<std::string>(),
      "checkpoint to start from, as finetune takes them; instead of model.from");
  add("weights",
      po::value<std::string>(),
      "which of several networks in it: model, ema (moving average), teacher, student, or its key");
  add_allow_option(options);
  add("freeze-blocks",
      po::value<std::string>(),
      "first blocks that are not trained; instead of model.freeze_blocks");
  add("freeze-epochs",
      po::value<std::string>(),
      "epochs in which the backbone is not trained; instead of train.freeze_epochs");
}

void apply_start_options(Recipe& recipe, const po::variables_map& args) {
  const auto text = [&](const char* name) { return args[name].as<std::string>(); };
  if (args.count("from") > 0) {
    const std::string path = fs::absolute(text("from")).lexically_normal();
    // The recipe's checksum is that of the file that it names itself.
    if (start_in(recipe).from != path) recipe.set_text("model.from_checksum", "");
    recipe.set_text("model.from", path);
  }
  if (args.count("weights") > 0) recipe.set_text("model.from_weights", text("weights"));
  apply_allow_option(recipe, args);
  if (args.count("freeze-blocks") > 0) recipe.set("model.freeze_blocks=" + text("freeze-blocks"));
  if (args.count("freeze-epochs") > 0) recipe.set("train.freeze_epochs=" + text("freeze-epochs"));
}

std::shared_ptr<const LoadedModel> load_source(Recipe& recipe, const std::string& resumed) {
  const bool goes_on = !resumed.empty() && !list_checkpoints(resumed).empty();
  if (goes_on && fs::exists(resumed + "/recipe.yaml")) return source_of_run(recipe, resumed);
  const StartOptions start = start_in(recipe);
  if (start.from.empty()) return nullptr;
  const std::string path = fs::absolute(start.from).lexically_normal();
  LoadHints hints{.network = start.from_weights, .image_size = {}, .whole = true};
  hints.heads_said = recipe.has("model.num_heads") || recipe.has("model.arch");
  hints.normalize_said = recipe.has("normalize.mean") && recipe.has("normalize.std");
  if (recipe.has("model.image_size")) {
    VitOptions model;
    recipe.read("model", model);
    hints.image_size = model.image_size;
  }
  std::vector<std::string> warnings;
  auto source = std::make_shared<LoadedModel>(load_model(path, &warnings, hints));
  for (const std::string& warning : warnings) log_warning(warning);
  const std::string checksum = source_checksum(*source);
  if (!start.from_checksum.empty() && start.from_checksum != checksum) {
    recipe.fail_at("model.from_checksum",
                   fmt::format("{} has {} instead of {}: it is another file; \"\" takes any",
                               source->source,
                               checksum,
                               start.from_checksum));
  }
  if (start.from != path) recipe.set_text("model.from", path);
  recipe.set_text("model.from_checksum", checksum);
  return source;
}

}  // namespace previt::cli
