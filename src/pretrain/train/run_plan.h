#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// Optimizer steps that so many images make. Throws UsageError when it is none.
int64_t steps_in_epoch(const TrainOptions& options, int64_t samples);

/// The steps of a run: how epochs of a source are cut into optimizer steps.
struct RunPlan {
  int64_t samples = 0;  ///< per epoch
  int64_t batch = 0;    ///< images per step, fewer in the last step of an epoch if drop_last is off
  int64_t micro = 0;
  int64_t steps_per_epoch = 0;
  int64_t epochs = 0;

  /// Throws UsageError when the data gives no step.
  static RunPlan make(const TrainOptions& options, const BatchSource& source);

  int64_t total_steps() const { return epochs * steps_per_epoch; }
  bool ends_epoch(int64_t steps_done) const { return steps_done % steps_per_epoch == 0; }
  int64_t images_in(int64_t step) const {
    return std::min(batch, samples - step % steps_per_epoch * batch);
  }
  /// Batches taken from the source in an epoch; it may have a few more, which are left out.
  int64_t batches_per_epoch() const;
  /// Images of the smallest micro-batch.
  int64_t smallest_batch() const;
  /// Whether something done every `epochs` (fractions count; 0: never) is due after so many steps.
  bool due(double every_epochs, int64_t steps_done) const;
  StepInfo info(int64_t step) const;
  /// Puts the source before a step.
  void seek(BatchSource& source, int64_t step) const;
};

}  // namespace previt
