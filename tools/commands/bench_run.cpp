#include "commands/bench_run.h"

#include <torch/types.h>

#include "cli/recipe_path.h"

namespace previt::cli {

void add_run_options(po::options_description& options) {
  options.add_options()("recipe", po::value<std::string>()->required(), "the recipe (YAML)")(
      "batch", po::value<int64_t>(), "images a step, all at once; without it as the recipe says")(
      "set",
      po::value<std::vector<std::string>>()->default_value({}, "")->composing(),
      "key.path=value on top of the recipe");
}

PretrainRun read_bench_run(const po::variables_map& args) {
  Recipe recipe = Recipe::load(find_recipe(args["recipe"].as<std::string>()));
  for (const auto& assignment : args["set"].as<std::vector<std::string>>()) recipe.set(assignment);
  if (args.count("batch") != 0) {
    recipe.set(fmt::format("train.batch={}", args["batch"].as<int64_t>()));
    recipe.set("train.micro_batch=0");
  }
  return PretrainRun::read(recipe);
}

Batch random_pictures(const Objective& objective, const RunOptions& options, int64_t images) {
  Batch batch;
  for (const auto& view : objective.views()) {
    for (int64_t i = 0; i < view.count; ++i) {
      batch.views.push_back(
          torch::randint(
              256, {images, options.model.in_channels, view.height, view.width}, torch::kUInt8)
              .contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
  batch.labels = torch::full({images}, -1, torch::kInt64);
  batch.indices = torch::arange(images);
  return batch;
}

StepInfo middle_step() {
  return {.step = 500, .total_steps = 1000, .steps_per_epoch = 10, .epochs = 100};
}

}  // namespace previt::cli
