#include "support/recipe_files.h"

#include <algorithm>
#include <filesystem>

namespace previt::test {

std::string recipe_folder() { return std::string(PREVIT_SOURCE_DIR) + "/recipes/"; }

std::vector<std::string> all_recipes() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(recipe_folder())) {
    if (entry.path().extension() == ".yaml") all.push_back(entry.path().string());
  }
  std::sort(all.begin(), all.end());
  return all;
}

PretrainRun pretraining(const std::string& path, const std::vector<std::string>& changes) {
  auto recipe = Recipe::load(path);
  for (const auto& change : changes) recipe.set(change);
  return PretrainRun::read(recipe);
}

FinetuneRun finetuning(const std::string& path, const std::vector<std::string>& changes) {
  auto recipe = Recipe::load(path);
  for (const auto& change : changes) recipe.set(change);
  return FinetuneRun::read(recipe, nullptr);
}

}  // namespace previt::test
