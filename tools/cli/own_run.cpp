#include "cli/own_run.h"

#include <algorithm>
#include <filesystem>

#include "augment/open_dataset.h"
#include "finetune/finetune_options.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

bool lies_in_run(const std::string& name) {
  return name == "best" || name == "checkpoints" || name.starts_with("step_") ||
         name == "backbone.safetensors";
}

bool same_data(const std::string& a, const std::string& b) {
  std::error_code none;  // synthetic: is no file
  return a == b || fs::equivalent(a, b, none);
}

bool is_divided(const std::string& path) {
  const auto splits = dataset_splits(path);
  return std::find(splits.begin(), splits.end(), "val") != splits.end();
}

}  // namespace

std::string recipe_of_run(const std::string& from) {
  fs::path at = fs::path(from).lexically_normal();
  if (!at.has_filename()) at = at.parent_path();
  while (!fs::exists(at / "recipe.yaml") && lies_in_run(at.filename())) at = at.parent_path();
  const fs::path recipe = at / "recipe.yaml";
  return fs::exists(recipe) ? recipe.string() : "";
}

std::optional<SplitOptions> own_holdout(const std::string& from, const std::string& path) {
  const std::string file = recipe_of_run(from);
  if (file.empty()) return std::nullopt;
  Recipe recipe = Recipe::load(file);
  FinetuneRun own;
  recipe.read(own);
  if (!same_data(own.run.data.path, path) || is_divided(path)) return std::nullopt;
  return SplitOptions{.holdout = own.finetune.holdout,
                      .seed = static_cast<uint64_t>(own.run.train.seed)};
}

}  // namespace previt::cli
