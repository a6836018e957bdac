#include "commands/finetune_recipe.h"

#include <algorithm>
#include <filesystem>

#include "augment/open_dataset.h"
#include "cli/from_option.h"
#include "cli/recipe_path.h"
#include "commands/finetune_choice.h"
#include "commands/own_run.h"
#include "commands/start_options.h"
#include "error.h"
#include "log.h"

namespace previt::cli {
namespace {

// Without --recipe that of the run that is evaluated or goes on; "" where there is none.
std::string recipe_path(const po::variables_map& args, const FinetuneJob& job) {
  if (args.count("recipe") > 0) return find_recipe(args["recipe"].as<std::string>());
  if (job.eval_only) return recipe_of_run(job.from);
  const std::string own = job.out + "/recipe.yaml";
  return job.resume && std::filesystem::exists(own) ? own : "";
}

Recipe chosen_recipe(const FinetuneRun& run, const Dataset& images) {
  const std::string& path = run.options.data.path;
  int64_t labelled = images.size();
  if (const int64_t few = run.finetune.per_class; few > 0) {
    labelled = std::min(labelled, few * std::ssize(images.class_names()));
  }
  const RecipeChoice choice = choose_finetuning(labelled, run.options.model, path);
  for (const std::string& reason : choice.reasons) info("{}", reason);
  return Recipe::parse(choice.recipe, "the recipe chosen for " + path);
}

// With what the command line says.
Recipe completed(Recipe recipe, const po::variables_map& args, const FinetuneJob& job) {
  if (args.count("data") > 0) recipe.set_text("data.path", args["data"].as<std::string>());
  if (args.count("arch") > 0) {
    if (job.loaded) fail_usage("--arch: only with --from none; a checkpoint has its own");
    recipe.set("model.arch=" + args["arch"].as<std::string>());
  }
  apply_settings(recipe, args);
  apply_allow_option(recipe, args);
  if (!recipe.has("data.path")) fail_usage("--data: say which images to train on");
  return recipe;
}

}  // namespace

ReadFinetuning read_finetuning(const po::variables_map& args, const FinetuneJob& job) {
  const LoadedModel* pretrained = job.loaded ? &*job.loaded : nullptr;
  const std::string path = recipe_path(args, job);
  Recipe recipe =
      completed(path.empty() ? Recipe::parse("", "recipe") : Recipe::load(path), args, job);
  FinetuneRun run = FinetuneRun::read(recipe, pretrained);
  if (!path.empty() || job.eval_only) return {std::move(recipe), std::move(run)};
  // What was read says for how many images to choose.
  auto images = open_dataset(run.options.data.path, Split::train);
  recipe = completed(chosen_recipe(run, *images), args, job);
  run = FinetuneRun::read(recipe, pretrained);
  return {std::move(recipe), std::move(run), std::move(images)};
}

}  // namespace previt::cli
