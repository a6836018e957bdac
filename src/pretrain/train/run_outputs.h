#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pretrain/objective.h"
#include "pretrain/train/event_file.h"
#include "pretrain/train/metrics_log.h"
#include "pretrain/train/run_record.h"
#include "pretrain/train/run_report.h"
#include "pretrain/train/train_callbacks.h"

namespace previt {

/// The newest pictures in a run's previews/, for reports until there are new ones.
std::vector<Report::PngPicture> newest_previews(const std::string& run_folder);

/// What a run leaves in its folder besides the checkpoints: log.txt, recipe.yaml, metrics.jsonl,
/// TensorBoard events, previews/, report.html. Of several ranks the first writes them; for the
/// others this class does nothing.
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
  /// After a resume, what extend_report added to the page before stays until it adds anew.
  void write_report(const RunSummary& summary);

 private:
  // Those that are open all the time.
  struct Files {
    MetricsLog metrics;
    EventFile events;
  };

  std::string folder_;
  const RunRecord& record_;
  const TrainCallbacks& callbacks_;
  std::unique_ptr<Files> files_;              // null where another rank writes
  std::vector<Report::PngPicture> previews_;  // the latest
  std::string earlier_page_;                  // that of before a resume, while it is needed
};

}  // namespace previt
