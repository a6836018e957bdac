#include "pretrain/train/run_plan.h"

#include "error.h"

namespace previt {

int64_t steps_in_epoch(const TrainOptions& options, int64_t samples) {
  const int64_t extra = options.drop_last ? 0 : options.batch - 1;
  const int64_t steps = (samples + extra) / options.batch;
  if (steps == 0) {
    fail_usage(
        "train.batch: {} is more than the {} images of the data; make it smaller or set "
        "train.drop_last=false",
        options.batch,
        samples);
  }
  return steps;
}

RunPlan RunPlan::make(const TrainOptions& options, const BatchSource& source) {
  RunPlan plan;
  plan.samples = source.samples_per_epoch();
  plan.batch = options.batch;
  plan.micro = options.micro();
  plan.epochs = options.epochs;
  plan.steps_per_epoch = steps_in_epoch(options, plan.samples);
  return plan;
}

int64_t RunPlan::batches_per_epoch() const {
  const int64_t images = std::min(steps_per_epoch * batch, samples);
  return (images + micro - 1) / micro;
}

int64_t RunPlan::smallest_batch() const {
  const int64_t rest = std::min(steps_per_epoch * batch, samples) % micro;
  return rest == 0 ? micro : rest;
}

bool RunPlan::due(double every_epochs, int64_t steps_done) const {
  if (every_epochs <= 0) return false;
  const int64_t every = std::llround(every_epochs * static_cast<double>(steps_per_epoch));
  return steps_done % std::max<int64_t>(every, 1) == 0;
}

StepInfo RunPlan::info(int64_t step) const {
  StepInfo info;
  info.step = step;
  info.total_steps = total_steps();
  info.steps_per_epoch = steps_per_epoch;
  info.epochs = epochs;
  return info;
}

void RunPlan::seek(BatchSource& source, int64_t step) const {
  source.seek(step / steps_per_epoch, step % steps_per_epoch * (batch / micro));
}

}  // namespace previt
