#include "commands/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "error.h"
#include "files.h"
#include "finetune/finetune_options.h"
#include "json_text.h"
#include "models/weights/checkpoint.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kKnn = "best kNN";
constexpr const char* kTop1 = "best top-1";

// An arch alone doesn't tell: a recipe may change its sizes.
std::string network_text(const VitOptions& model) {
  return fmt::format("{}, {} blocks of {}, {} px in patches of {}",
                     model.arch,
                     model.depth,
                     model.embed_dim,
                     fmt::join(model.image_size, " x "),
                     model.patch_size);
}

void take_recipe(const std::string& path, ComparedRun& run) {
  Recipe recipe = Recipe::load(path);
  const auto take = [&](const auto& whole) {
    const RunOptions& options = whole.options;
    run.settings = whole.settings();
    run.objective = options.objective;
    run.network = network_text(options.model);
    run.epochs = options.train.epochs;
  };
  if (recipe.has("finetune")) {
    take(FinetuneRun::read(recipe, nullptr));
  } else {
    take(PretrainRun::read(recipe));
  }
}

// A file of ours as JSON, if it is there and whole: what is written just now may not be.
json document(const fs::path& path) {
  if (!fs::is_regular_file(path)) return json::object();
  const json read = json_or_discarded(read_whole_file(path.string()));
  return read.is_object() ? read : json::object();
}

// As a count; 0 for what is none.
int64_t whole(double number) {
  return number > 0 && number < 1e15 ? static_cast<int64_t>(number) : 0;
}

double number(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

void read_checkpoint(const std::string& folder, ComparedRun& run) {
  const auto checkpoints = list_checkpoints(folder);
  if (checkpoints.empty()) return;
  const json meta =
      document(fs::path(checkpoints.front()) / "meta.json").value("meta", json::object());
  run.images = whole(number(meta, "samples"));
  run.seconds = number(meta, "seconds");
  run.processor_seconds = number(meta, "processor_seconds");
  if (meta.contains("machine") && meta["machine"].is_string()) run.machine = meta["machine"];
}

// Whose result.json it is, by what only that command writes; "": another's.
std::string score_name(const json& result) {
  if (!result.contains("top1") || !result["top1"].is_number()) return "";
  if (result.contains("protocol")) return "linear probe";
  if (result.contains("leave_one_out")) return kKnn;
  return kTop1;
}

void add_score(const std::string& name, double score, ComparedRun& run) {
  const auto [found, is_new] = run.scores.try_emplace(name, score);
  if (!is_new) found->second = std::max(found->second, score);
}

void read_scores(const std::string& folder, ComparedRun& run) {
  for (const auto& line : run.lines) {
    for (const auto& [metric, name] : {std::pair("knn_top1", kKnn), {"top1", kTop1}}) {
      if (const double* score = find_value(line, metric)) add_score(name, *score, run);
    }
  }
  std::vector<fs::path> folders = {folder};
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  for (const fs::path& path : folders) {
    const json result = document(path / "result.json");
    if (const auto name = score_name(result); !name.empty()) {
      add_score(name, number(result, "top1"), run);
    }
  }
}

// The last `count` names of a path.
std::string last_names(const std::string& folder, size_t count) {
  fs::path at = fs::absolute(folder).lexically_normal(), names;
  if (!at.has_filename()) at = at.parent_path();  // of a path with a slash at its end
  for (; count > 0 && at.has_filename(); --count, at = at.parent_path()) {
    names = names.empty() ? at.filename() : at.filename() / names;
  }
  return names.string();
}

}  // namespace

ComparedRun read_run_folder(const std::string& folder) {
  require(fs::is_directory(folder), "{}: there is no such folder", folder);
  const std::string recipe = folder + "/recipe.yaml";
  require(fs::is_regular_file(recipe), "{}: is no run: it has no recipe.yaml", folder);
  ComparedRun run;
  run.name = last_names(folder, 1);
  take_recipe(recipe, run);
  run.lines = read_metrics(
      folder + "/metrics.jsonl", std::numeric_limits<int64_t>::max(), &run.damaged_lines);
  require(!run.lines.empty(), "{}: has no metrics yet: metrics.jsonl has no whole line", folder);
  const Points epochs = points_of(run.lines, "step", "epoch");
  if (!epochs.empty()) run.epochs_done = epochs.back().second;
  read_checkpoint(folder, run);
  read_scores(folder, run);
  return run;
}

RunSummary summary_of(const ComparedRun& run) {
  const auto last = [&](const char* metric) {
    const Points points = points_of(run.lines, "step", metric);
    return points.empty() ? 0 : whole(points.back().second);
  };
  RunSummary summary;
  const std::string* arch = find_setting(run, "model.arch");
  summary.title = fmt::format("{}, {}", run.objective, arch == nullptr ? "" : *arch);
  summary.finished = run.epochs_done >= static_cast<double>(run.epochs);
  summary.epochs_done = run.epochs_done;
  summary.epochs = run.epochs;
  summary.seconds = run.seconds;
  summary.skipped_steps = last("skipped_steps");
  summary.bad_samples = last("bad_samples");
  return summary;
}

std::vector<std::string> distinct_names(const std::vector<std::string>& folders) {
  std::vector<std::string> names;
  for (const std::string& folder : folders) {
    size_t count = 1, longest = last_names(folder, folder.npos).size();
    std::string name;
    const auto has_name = [&](const std::string& other) {
      return last_names(other, count) == name;
    };
    for (;; ++count) {
      name = last_names(folder, count);
      if (std::ranges::count_if(folders, has_name) == 1 || name.size() == longest) break;
    }
    names.push_back(name);
  }
  return names;
}

}  // namespace previt::cli
