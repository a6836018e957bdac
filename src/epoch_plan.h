#pragma once

#include <algorithm>
#include <cstdint>

namespace previt {

/// How the samples of an epoch are divided into optimizer steps, and each step into batches. The
/// source cuts its batches by this plan and the trainer counts its steps by it, so that both mean
/// the same place.
struct EpochPlan {
  int64_t samples = 0;    ///< in an epoch
  int64_t step = 1;       ///< images in an optimizer step
  int64_t batch = 1;      ///< images in a batch; divides `step`
  bool drop_last = true;  ///< leave out the last samples if they do not fill a step

  int64_t steps() const { return (samples + (drop_last ? 0 : step - 1)) / step; }
  /// Images that the steps of an epoch see.
  int64_t images() const { return std::min(steps() * step, samples); }
  int64_t batches() const { return (images() + batch - 1) / batch; }
  /// Images in one step of an epoch, counted from 0. Only the last step can have fewer.
  int64_t images_in_step(int64_t of_epoch) const {
    return std::min(step, samples - of_epoch * step);
  }
  int64_t images_in_batch(int64_t of_epoch) const {
    return std::min(batch, images() - of_epoch * batch);
  }
  int64_t first_batch_of(int64_t step_of_epoch) const { return step_of_epoch * (step / batch); }
};

/// Whether a metrics line is due after so many steps of a run. An epoch has the fewest lines that are
/// at most `most` steps apart, as evenly as whole steps allow, the last of them at its end: so no
/// line is the mean of a few leftover steps.
bool line_due(int64_t steps_done, int64_t steps_per_epoch, int64_t most);

/// Throws UsageError, led by train.batch, if an epoch has no step.
void require_a_step(const EpochPlan& epoch);

}  // namespace previt
