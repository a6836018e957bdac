#include "epoch_plan.h"

#include "error.h"

namespace previt {

bool line_due(int64_t steps_done, int64_t steps_per_epoch, int64_t most) {
  const int64_t lines = (steps_per_epoch + most - 1) / most;
  const int64_t in_epoch = steps_done % steps_per_epoch;
  if (in_epoch == 0) return true;
  return in_epoch * lines / steps_per_epoch > (in_epoch - 1) * lines / steps_per_epoch;
}

void require_a_step(const EpochPlan& epoch) {
  if (epoch.steps() > 0) return;
  fail_usage(
      "train.batch: {} is more than the {} images of the data; make it smaller or set "
      "train.drop_last=false",
      epoch.step,
      epoch.samples);
}

}  // namespace previt
