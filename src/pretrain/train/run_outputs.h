#pragma once

#include <string>
#include <vector>

#include "log.h"
#include "pretrain/objective.h"
#include "pretrain/train/event_file.h"
#include "pretrain/train/metrics_log.h"
#include "pretrain/train/run_record.h"
#include "pretrain/train/run_report.h"
#include "pretrain/train/train_callbacks.h"

namespace previt {

/// What a run leaves in its folder besides the checkpoints: log.txt, recipe.yaml, metrics.jsonl,
/// TensorBoard events, previews/, report.html.
class RunOutputs {
 public:
  /// `first_step`: where the run starts or goes on.
  RunOutputs(std::string folder,
             const RunRecord& record,
             const TrainCallbacks& callbacks,
             int64_t first_step);

  void write(const MetricsLine& line);
  /// Writes pictures made after so many epochs into previews/ and shows them in all reports until
  /// there are new ones, after a resume too. Needs TrainCallbacks::encode_png.
  void add_previews(const std::vector<Picture>& pictures, double epochs_done);
  void write_report(const RunSummary& summary) const;

 private:
  std::string previews_folder() const { return folder_ + "/previews/"; }

  std::string folder_;
  const RunRecord& record_;
  const TrainCallbacks& callbacks_;
  LogFile log_;
  MetricsLog metrics_;
  EventFile events_;
  std::vector<Report::PngPicture> previews_;  // the latest
};

}  // namespace previt
