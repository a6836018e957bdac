#include "support/reduced_recipe.h"

#include <filesystem>

#include "files.h"
#include "support/temp_folder.h"

namespace previt::test {
namespace {

std::string own_text(const std::string& objective) {
  const std::string source = PREVIT_SOURCE_DIR;
  const std::string path = source + "/tests/pretrain/objectives/" + objective + ".yaml";
  if (!std::filesystem::exists(path)) return "";
  std::string text = read_whole_file(path);
  const std::string place = "${source}";
  for (size_t at = 0; (at = text.find(place, at)) != std::string::npos;) {
    text.replace(at, place.size(), source);
  }
  return text;
}

}  // namespace

Recipe reduced_recipe(const std::string& objective, const std::string& base) {
  const TempFolder folder;
  const std::string path = folder.path() + "/" + objective + ".yaml";
  write_whole_file(path, (base.empty() ? "" : "base: " + base + "\n") + own_text(objective));
  Recipe recipe = Recipe::load(path);
  recipe.set("objective=" + objective);
  for (const auto& assignment : kSmallModel) recipe.set(assignment);
  return recipe;
}

}  // namespace previt::test
