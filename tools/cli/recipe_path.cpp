#include "cli/recipe_path.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include "error.h"
#include "files.h"
#include "nearest_word.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".yaml";

// "small/mae_vit_small_128" → its file, of all recipes. The first folder that has a name wins.
std::map<std::string, std::string> all_recipes() {
  std::map<std::string, std::string> all;
  for (const std::string& folder : recipe_folders()) {
    std::error_code unreadable;
    for (fs::recursive_directory_iterator it(folder, unreadable), end; it != end;
         it.increment(unreadable)) {
      if (unreadable) break;
      if (it->path().extension() != kEnding) continue;
      fs::path name = fs::relative(it->path(), folder, unreadable);
      all.emplace(name.replace_extension().generic_string(), it->path().string());
    }
  }
  return all;
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('/') + 1); }

// The first sentence of the comment that a recipe begins with.
std::string first_sentence(const std::string& path) {
  std::string text;
  std::istringstream lines(read_whole_file(path));
  for (std::string line; std::getline(lines, line) && line.starts_with("#");) {
    if (!text.empty()) text += ' ';
    text.append(line, std::min(line.size(), line.find_first_not_of("# ")));
    const auto end = text.find(". ");
    if (end != std::string::npos) return text.substr(0, end);
    if (text.ends_with('.') || text.ends_with(':')) return text.substr(0, text.size() - 1);
  }
  return text;
}

// The program that takes a recipe, by its method; "" where the recipe can't be read.
std::string program_of(const std::string& path) {
  try {
    Recipe recipe = Recipe::load(path);
    const std::string method = objective_in(recipe, RunOptions().objective);
    if (method == "finetune") return "finetune";
    ObjectiveRegistry registry;
    register_all_objectives(registry);
    return registry.make(method)->command();
  } catch (const UsageError&) {
    return "";
  }
}

}  // namespace

std::vector<std::string> recipe_folders() {
  std::vector<std::string> folders;
  const char* own = std::getenv("PREVIT_RECIPES");
  if (own != nullptr && *own != 0) folders.emplace_back(own);
  std::error_code unknown;
  const fs::path program = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  if (unknown) return folders;
  for (const char* place : {"../share/previt/recipes", "../../recipes", "../../../recipes"}) {
    const fs::path folder = (program / place).lexically_normal();
    if (fs::is_directory(folder, unknown)) folders.push_back(folder.string());
  }
  return folders;
}

std::string find_recipe(const std::string& given) {
  std::error_code error;
  // What is no name is left to the one who opens it, and tells what is wrong with it.
  if (fs::exists(given, error) || fs::path(given).is_absolute()) return given;
  const std::string name = given.ends_with(kEnding)
                               ? given.substr(0, given.size() - std::string(kEnding).size())
                               : given;
  const auto all = all_recipes();
  const auto whole = all.find(name);
  if (whole != all.end()) return whole->second;
  std::vector<std::string> found, words;
  for (const auto& [known, path] : all) {
    if (last_part(known) == name) found.push_back(known);
    words.push_back(known);
    words.push_back(last_part(known));
  }
  if (found.size() == 1) return all.at(found.front());
  if (!found.empty()) {
    // The quickstart's are what somebody means who has no data yet.
    const auto quick = all.find("quickstart/" + name);
    if (quick != all.end()) return quick->second;
    fail_usage("--recipe: {} may be {}", given, fmt::join(found, " or "));
  }
  fail_usage("--recipe: {}: no such file, and no recipe of that name{}; --list-recipes shows them",
             given,
             did_you_mean(name, words));
}

std::string recipe_list() {
  std::string list;
  for (const auto& [name, path] : all_recipes()) {
    list += fmt::format("{:<42} {:<15}  {}\n", name, program_of(path), first_sentence(path));
  }
  return list;
}

}  // namespace previt::cli
