#include "pretrain/train/run_plan.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace previt {

EpochPlan epoch_of(const TrainOptions& options, int64_t samples) {
  return {.samples = samples,
          .step = options.batch,
          .batch = options.micro(),
          .drop_last = options.drop_last};
}

RunPlan RunPlan::make(const TrainOptions& options, const BatchSource& source) {
  options.require_shareable();
  const EpochPlan epoch = source.epoch_plan(), wanted = epoch_of(options, epoch.samples);
  require_a_step(wanted);
  require(epoch.batch == wanted.batch && epoch.images() == wanted.images(),
          "the source gives {} images an epoch in batches of {}, the run takes {} in batches of {}",
          epoch.images(),
          epoch.batch,
          wanted.images(),
          wanted.batch);
  return {.epoch = wanted, .epochs = options.epochs};
}

bool RunPlan::due(double every_epochs, int64_t steps_done) const {
  if (every_epochs <= 0) return false;
  const int64_t every = std::llround(every_epochs * static_cast<double>(steps_per_epoch()));
  return steps_done % std::max<int64_t>(every, 1) == 0;
}

StepInfo RunPlan::info(int64_t step) const {
  StepInfo info;
  info.step = step;
  info.total_steps = total_steps();
  info.steps_per_epoch = steps_per_epoch();
  info.epochs = epochs;
  return info;
}

void RunPlan::seek(BatchSource& source, int64_t step) const {
  source.seek(step / steps_per_epoch(), epoch.first_batch_of(step % steps_per_epoch()));
}

}  // namespace previt
