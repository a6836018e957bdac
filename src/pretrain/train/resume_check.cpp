#include "pretrain/train/resume_check.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "communicator.h"
#include "error.h"
#include "json_text.h"
#include "log.h"
#include "models/kernels/matmul_ways.h"

namespace previt {
namespace {

bool may_change(const std::string& key) {
  // Exceptions to the keys that may change, which are given by their beginnings.
  static const std::vector<std::string> fixed = {"optimizer.name", "optimizer.decay_all"};
  static const std::vector<std::string> free = {"data.",
                                                "knn.",
                                                "output.",
                                                "optimizer.",
                                                "schedule.",
                                                "train.epochs",
                                                "train.micro_batch",
                                                "train.precision",
                                                "train.matmul",
                                                "train.deterministic",
                                                "train.cuda_graph",
                                                "train.threads",
                                                "train.max_bad_steps",
                                                "train.checkpoint_blocks",
                                                "train.shard_optimizer",
                                                "train.timeout"};
  if (std::find(fixed.begin(), fixed.end(), key) != fixed.end()) return false;
  return std::any_of(
      free.begin(), free.end(), [&](const auto& part) { return key.starts_with(part); });
}

std::vector<std::string> missing_in(const std::vector<std::string>& names,
                                    const std::vector<std::string>& others) {
  std::vector<std::string> missing;
  for (const auto& name : names) {
    if (std::find(others.begin(), others.end(), name) == others.end()) missing.push_back(name);
  }
  return missing;
}

bool holds_run(const std::string& run_folder) {
  std::error_code missing;
  // A start that failed at once leaves an empty file, which makes no run.
  const auto size = std::filesystem::file_size(run_folder + "/metrics.jsonl", missing);
  return (!missing && size > 0) || !list_checkpoints(run_folder).empty();
}

// Throws Error where `saved` is no result of matmul_ways_json.
void choose_ways(const nlohmann::json& saved) {
  require(saved.is_object(), "its matmuls are no list");
  std::map<std::string, std::string> chosen;
  for (const auto& [shape, way] : saved.items()) {
    require(way.is_string(), "the way of its matmul {} is no text", shape);
    chosen[shape] = way.get<std::string>();
  }
  matmul_ways().choose(chosen);
}

}  // namespace

void require_no_run(const std::string& run_folder) {
  if (!holds_run(run_folder)) return;
  fail_usage("{}: holds a run already; add --resume to go on with it, or give another --out",
             run_folder);
}

std::optional<Checkpoint> checkpoint_to_resume(const std::string& run_folder) {
  if (list_checkpoints(run_folder).empty()) {
    info("{}: no checkpoint to go on from; starting anew", run_folder);
    return std::nullopt;
  }
  std::vector<std::string> warnings;
  Checkpoint saved = load_latest(run_folder, warnings);
  for (const auto& warning : warnings) log_warning(warning);
  return saved;
}

nlohmann::json matmul_ways_json() { return matmul_ways().chosen(); }

void share_matmul_ways() {
  if (world().alone()) return;
  choose_ways(nlohmann::json::parse(world().broadcast(matmul_ways_json().dump())));
}

void keep_matmul_ways(const nlohmann::json& meta) {
  if (!matmul_ways().measures()) return;
  const auto saved = meta.find("matmuls");
  if (saved == meta.end()) return matmul_ways().measure(false);
  choose_ways(*saved);
}

nlohmann::json settings_json(const Settings& settings) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [key, value] : settings) json[key] = value;
  return json;
}

void require_resumable(const nlohmann::json& saved, const Settings& now) {
  for (const auto& [key, value] : now) {
    // A key that the checkpoint lacks is newer than it.
    if (!saved.contains(key) || saved[key] == value) continue;
    require(saved[key].is_string(), "--resume: {} of the run's settings is no text", key);
    const auto before = saved[key].get<std::string>();
    if (!may_change(key)) {
      fail_usage(
          "--resume: {} is {} in the run and {} now; keep it, or start another run with --out",
          key,
          before,
          value);
    }
    info("{}: {} until the checkpoint, {} from here on", key, before, value);
  }
}

void require_same_classes(const std::map<std::string, std::string>& metadata,
                          const std::vector<std::string>& now) {
  const auto saved = metadata.find("class_names");
  if (saved == metadata.end() || now.empty()) return;
  const auto list = json_or_discarded(saved->second);
  if (!list.is_array() || list.empty() || !list.front().is_string()) return;
  const auto before = list.get<std::vector<std::string>>();
  if (before == now) return;
  const auto gone = missing_in(before, now), added = missing_in(now, before);
  std::string change;
  if (!gone.empty()) change += fmt::format("; not there now: {}", fmt::join(gone, ", "));
  if (!added.empty()) change += fmt::format("; new: {}", fmt::join(added, ", "));
  if (change.empty()) change = "; their order is another";
  fail_usage(
      "--resume: the data's classes are others than in the run{}; give the run's data, or start "
      "another run with --out",
      change);
}

}  // namespace previt
