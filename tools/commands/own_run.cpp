#include "commands/own_run.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "augment/open_dataset.h"
#include "error.h"
#include "files.h"
#include "finetune/finetune_options.h"
#include "json_text.h"
#include "models/weights/checkpoint.h"
#include "utf8.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

bool lies_in_run(const std::string& name) {
  return name == "best" || name == "checkpoints" || name.starts_with("step_") ||
         name == "backbone.safetensors";
}

bool same_place(const std::string& a, const std::string& b) {
  std::error_code none;  // synthetic: names no file
  return a == b || fs::equivalent(a, b, none);
}

// `saved` is a path as the run's recipe has it. Bytes that are not UTF-8 are escaped. A relative
// path starts where the run was started, which as a rule is above its folder.
bool same_data(const std::string& saved, const std::string& path, const std::string& recipe) {
  const std::string bytes = unescaped(saved);
  if (same_place(saved, path) || same_place(bytes, path)) return true;
  for (fs::path above = fs::absolute(recipe); above != above.parent_path();) {
    above = above.parent_path();
    if (same_place(above / saved, path) || same_place(above / bytes, path)) return true;
  }
  return false;
}

bool is_divided(const std::string& path) { return dataset_splits(path).contains(Split::val); }

std::optional<std::set<std::string>> names_in(const fs::path& file) {
  if (!fs::exists(file)) return std::nullopt;
  const nlohmann::json list = json_or_discarded(read_whole_file(file.string()));
  const bool names = list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& name) {
                       return name.is_string();
                     });
  require(names, "{}: is no list of names", file.string());
  return list.get<std::set<std::string>>();
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
  if (!same_data(own.options.data.path, path, file) || is_divided(path)) return std::nullopt;
  return SplitOptions{.holdout = own.finetune.holdout,
                      .seed = static_cast<uint64_t>(own.options.train.seed),
                      .older = true};
}

std::string list_text(const Dataset* images) {
  auto names = nlohmann::json::array();
  for (int64_t i = 0; images && i < images->size(); ++i) names.push_back(images->name(i));
  return json_text(names, 0) + "\n";
}

std::optional<std::set<std::string>> own_held_out(const std::string& from) {
  return names_in(fs::path(recipe_of_run(from)).parent_path() / "held_out.json");
}

SplitOptions resumed(SplitOptions split, const std::string& folder) {
  if (list_checkpoints(folder).empty()) return split;
  split.held_out = names_in(fs::path(folder) / "held_out.json");
  split.few_shot = names_in(fs::path(folder) / "few_shot.json");
  split.older = true;
  return split;
}

}  // namespace previt::cli
