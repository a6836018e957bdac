#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pretrain/train/averages.h"

namespace previt {

/// One line of metrics.jsonl.
struct MetricsLine {
  int64_t step = 0;  ///< optimizer steps done
  Scalars values;
};

/// The lines of a metrics.jsonl up to `last_step`. Counts those that are damaged in `damaged`, if
/// it is given. Nothing where there is no such file.
std::vector<MetricsLine> read_metrics(const std::string& path,
                                      int64_t last_step,
                                      int64_t* damaged = nullptr);

/// The value of this name in a line; nullptr where it has none.
const double* find_value(const MetricsLine& line, const std::string& name);

/// The names of all values but the epoch, in order of first appearance, the loss first.
std::vector<std::string> metric_names(const std::vector<MetricsLine>& lines);

/// metrics.jsonl: one JSON object a line, "step" first. A value that is not finite is null.
class MetricsLog {
 public:
  /// Keeps the lines of an earlier part of the run up to `last_step`, and drops the rest with a
  /// torn last line: steps after the resumed checkpoint are made again.
  MetricsLog(std::string path, int64_t last_step);

  /// Throws Error if it can't be written.
  void write(MetricsLine line);
  /// All lines of the run, those of earlier parts too.
  const std::vector<MetricsLine>& lines() const { return lines_; }

 private:
  std::string path_;
  std::vector<MetricsLine> lines_;
};

}  // namespace previt
