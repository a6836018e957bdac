#include "commands/pretrain_recipe.h"

#include <filesystem>
#include <thread>
#include <utility>

#include "augment/open_dataset.h"
#include "cli/device.h"
#include "cli/recipe_path.h"
#include "commands/recipe_choice.h"
#include "error.h"
#include "log.h"
#include "pretrain/train/time_budget.h"
#include "utf8.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

std::string text_of(const po::variables_map& args, const char* option) {
  return args.count(option) != 0 ? args[option].as<std::string>() : "";
}

// "photos" of "/home/me/photos/" and of "photos.h5", "shapes" of "synthetic:shapes,size=64".
std::string name_of_images(const std::string& path) {
  const auto colon = path.find(':');
  if (path.starts_with("synthetic:")) return path.substr(colon + 1, path.find(',') - colon - 1);
  fs::path whole = fs::absolute(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // of a path with a slash at its end
  const fs::path name = whole.extension() == ".h5" ? whole.stem() : whole.filename();
  return name.empty() ? "images" : name.string();
}

FoundRecipe chosen_recipe(const std::string& data, const po::variables_map& args) {
  const MachineFacts machine{.gpu = choose_device(args["device"].as<std::string>()).is_cuda(),
                             .cores = std::thread::hardware_concurrency()};
  auto images = open_dataset(data, Split::train);
  const RecipeChoice choice =
      choose_recipe(look_at(*images, data), machine, text_of(args, "objective"), data);
  for (const std::string& reason : choice.reasons) info("{}", reason);
  return {.recipe = Recipe::parse(choice.recipe, "the recipe chosen for " + data),
          .chosen = true,
          .images = std::move(images)};
}

// Weights that are there have a network and a size of their own.
FoundRecipe continuing_recipe(const po::variables_map& args) {
  const std::string objective = args.count("objective") != 0 ? text_of(args, "objective") : "mae";
  if (objective != "mae" && objective != "dino") {
    fail_usage("--objective: {}: from weights, mae or dino; others need a --recipe", objective);
  }
  const std::string name = "small/continue_" + objective;
  info("recipe: {}, as weights are there to start from", name);
  return {.recipe = Recipe::load(find_recipe(name)), .chosen = true};
}

// A key that names a file or folder, and what to do where that is missing.
struct Input {
  const char *key, *advice;
};
constexpr Input kInputs[] = {
    {"data.path", "--data PATH names your images"},
    {"beit.tokenizer", "train it first with train_tokenizer, or --set beit.tokenizer=RUN"},
    {"vqkd.teacher", "train it first with pretrain, or --set vqkd.teacher=CHECKPOINT"}};

void require_input(const Input& input, const std::string& path) {
  const bool generated = path.starts_with("synthetic:") || path.starts_with("colors:");
  std::error_code error;
  if (path.empty() || generated || fs::exists(path, error)) return;
  fail_usage("{}: {}: there is no such file or folder; {}", input.key, path, input.advice);
}

}  // namespace

FoundRecipe find_pretrain_recipe(const po::variables_map& args) {
  const bool given = args.count("recipe") != 0, budget = args.count("time-budget") != 0;
  const std::string data = text_of(args, "data");
  const bool nothing = !given && data.empty();
  if (args.count("resume") != 0 && (!nothing || args.count("out") != 0) && (!given || budget)) {
    const std::string own = run_folder(args) + "/recipe.yaml";
    if (fs::exists(own)) {
      if (budget) info("--time-budget: not measured again; {} holds, with its epochs", own);
      return {.recipe = Recipe::load(own), .resumed = true};
    }
    if (nothing) fail_usage("--resume: there is no {} to go on with", own);
  }
  if (nothing) {
    fail_usage("--recipe: must be given, or --data for one that fits the images; --help says more");
  }
  if (!given && args.count("from") != 0) return continuing_recipe(args);
  if (!given) return chosen_recipe(data, args);
  if (args.count("objective") != 0) {
    fail_usage("--objective: is for --data without --recipe; a recipe names its own");
  }
  return {.recipe = Recipe::load(find_recipe(args["recipe"].as<std::string>()))};
}

std::string run_folder(const po::variables_map& args) {
  if (args.count("out") != 0) return args["out"].as<std::string>();
  if (args.count("recipe") == 0) return "runs/" + name_of_images(text_of(args, "data"));
  return "runs/" + fs::path(args["recipe"].as<std::string>()).stem().string();
}

void require_inputs(const PretrainRun& run, const po::variables_map& args) {
  for (const auto& [key, text] : run.settings()) {
    for (const Input& input : kInputs) {
      const bool asked_otherwise = key == "data.path" && args.count("data") != 0;
      if (key == input.key && !asked_otherwise) require_input(input, unescaped(text));
    }
  }
}

double time_budget(const po::variables_map& args) {
  const std::string text = text_of(args, "time-budget");
  return args.count("time-budget") == 0 ? 0 : parse_duration(text, "--time-budget");
}

}  // namespace previt::cli
