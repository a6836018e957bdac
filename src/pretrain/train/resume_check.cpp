#include "pretrain/train/resume_check.h"

#include <algorithm>
#include <vector>

#include "error.h"
#include "log.h"

namespace previt {
namespace {

bool may_change(const std::string& key) {
  static const std::vector<std::string> fixed = {"optimizer.name", "optimizer.decay_all"};
  static const std::vector<std::string> free = {"data.",
                                                "knn.",
                                                "output.",
                                                "optimizer.",
                                                "schedule.",
                                                "train.epochs",
                                                "train.micro_batch",
                                                "train.precision",
                                                "train.threads",
                                                "train.max_bad_steps"};
  if (std::find(fixed.begin(), fixed.end(), key) != fixed.end()) return false;
  return std::any_of(
      free.begin(), free.end(), [&](const auto& part) { return key.starts_with(part); });
}

}  // namespace

nlohmann::json settings_json(const Settings& settings) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [key, value] : settings) json[key] = value;
  return json;
}

void require_resumable(const nlohmann::json& saved, const Settings& now) {
  for (const auto& [key, value] : now) {
    if (!saved.contains(key) || saved[key] == value) continue;
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

}  // namespace previt
