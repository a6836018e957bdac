#pragma once

#include <cstdint>

#include "batch.h"
#include "epoch_plan.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// The steps of a run: so many epochs, each cut alike. Steps are counted from 0 over all epochs.
struct RunPlan {
  EpochPlan epoch;
  int64_t epochs = 0;

  /// Throws UsageError if the data gives no step or the processes can't share it, Error if the
  /// source cuts its epochs otherwise than `options` say.
  static RunPlan make(const TrainOptions& options, const BatchSource& source);

  int64_t steps_per_epoch() const { return epoch.steps(); }
  int64_t total_steps() const { return epochs * steps_per_epoch(); }
  bool ends_epoch(int64_t steps_done) const { return steps_done % steps_per_epoch() == 0; }
  int64_t images_in(int64_t step) const { return epoch.images_in_step(step % steps_per_epoch()); }
  /// Images of the smallest micro-batch.
  int64_t smallest_batch() const { return epoch.images_in_batch(epoch.batches() - 1); }
  /// Whether something done every `epochs` (fractions count; 0: never) is due after so many steps.
  bool due(double every_epochs, int64_t steps_done) const;
  StepInfo info(int64_t step) const;
  /// Moves the source to where a step begins.
  void seek(BatchSource& source, int64_t step) const;
};

/// How a run cuts an epoch of so many samples.
EpochPlan epoch_of(const TrainOptions& options, int64_t samples);

}  // namespace previt
