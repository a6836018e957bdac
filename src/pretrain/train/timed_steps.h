#pragma once

#include "batch.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/run_position.h"
#include "pretrain/train/stepper.h"

namespace previt {

/// Makes the steps of a run from the source's batches, and takes their time.
class TimedSteps {
 public:
  TimedSteps(Stepper& stepper, BatchSource& source, const RunPlan& plan)
      : stepper_(stepper), source_(source), plan_(plan) {}

  /// Makes step `step` of the run, before which the source must stand. `speed` becomes that of this
  /// step.
  StepOutcome make(int64_t step, Speed& speed);

  /// Whether loss and gradients of this step are finite; nothing is updated. Moves the source.
  bool would_be_good(int64_t step);

 private:
  Stepper& stepper_;
  BatchSource& source_;
  const RunPlan& plan_;
};

}  // namespace previt
