#include "epoch_plan.h"

#include "error.h"

namespace previt {

void require_a_step(const EpochPlan& epoch) {
  if (epoch.steps() > 0) return;
  fail_usage(
      "train.batch: {} is more than the {} images of the data; make it smaller or set "
      "train.drop_last=false",
      epoch.step,
      epoch.samples);
}

}  // namespace previt
