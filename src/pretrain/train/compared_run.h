#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pretrain/train/metrics_log.h"
#include "settings.h"

namespace previt {

/// A run as a page that compares several shows it. A number that nobody wrote down is 0, a text "".
struct ComparedRun {
  std::string name;  ///< another one for each run
  std::string objective, network, machine;
  int64_t images = 0;  ///< of an epoch
  double epochs_done = 0;
  int64_t epochs = 0;
  double seconds = 0;            ///< of training
  double processor_seconds = 0;  ///< of all its processes
  Settings settings;             ///< all, defaults too
  std::vector<MetricsLine> lines;
  int64_t damaged_lines = 0;             ///< of metrics.jsonl, left out of `lines`
  std::map<std::string, double> scores;  ///< "top-1", "linear probe" …: the best one, in per cent
};

using ComparedRuns = std::vector<ComparedRun>;

/// The value of a setting; nullptr where the run has none of that name.
const std::string* find_setting(const ComparedRun& run, const std::string& key);

}  // namespace previt
