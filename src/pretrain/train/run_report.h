#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pretrain/run_options.h"
#include "pretrain/train/metrics_log.h"
#include "pretrain/train/report.h"
#include "settings.h"

namespace previt {

/// How a run went, besides its metrics.
struct RunSummary {
  std::string title;
  std::string diagnosis = {};  ///< what is wrong with the run, in words; "": nothing
  bool finished = false;
  double epochs_done = 0;
  int64_t epochs = 0;
  double seconds = 0;            ///< of training, all parts of the run together
  double images_per_second = 0;  ///< of this part, without evaluations and checkpoints
  double flops_per_second = 0;   ///< 0: not known
  int64_t peak_memory = 0;       ///< bytes
  int64_t skipped_steps = 0;
  int64_t bad_samples = 0;
};

/// The values of a metric over "epoch" or "step", for a chart; without lines that lack one of them.
Points points_of(const std::vector<MetricsLine>& lines,
                 const std::string& x,
                 const std::string& name);

/// "knn_top1" as a chart is called: "knn top1".
std::string title_of_metric(std::string name);

/// "123.4 images/s, 1.23 TFLOP/s, peak memory 3.4 GiB".
std::string speed_text(const RunSummary& summary);

/// The section with RunSummary::diagnosis.
constexpr const char* kDiagnosisSection = "Something is wrong";

/// Headline figures and the curve of every metric.
Report make_report(const RunSummary& summary, const std::vector<MetricsLine>& lines);

/// The last lines as a table, what the run was made with, and how to make it again.
void add_run_details(Report& report,
                     const std::vector<MetricsLine>& lines,
                     const Settings& settings,
                     const std::string& command);

}  // namespace previt
