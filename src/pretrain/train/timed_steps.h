#pragma once

#include <deque>
#include <utility>

#include "batch.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/run_position.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/stop_signal.h"

namespace previt {

/// Makes the steps of a run from the source's batches, and takes their time.
class TimedSteps {
 public:
  TimedSteps(Stepper& stepper, BatchSource& source, const RunPlan& plan, const StopSignal& stop)
      : stepper_(stepper), source_(source), plan_(plan), stop_(stop) {}

  /// Makes step `step` of the run, before which the source must stand.
  void queue(int64_t step);
  /// Steps that are queued but not read.
  int64_t unread() const { return static_cast<int64_t>(queued_.size()); }
  /// Waits for the oldest of them. `speed` becomes that of this step: the images of all ranks, and
  /// how long the slowest waited for data.
  StepOutcome read(Speed& speed);

  /// The exit code that a signal asks for; of several ranks, any of them, as all knew it at the
  /// last step.
  int stop_asked() const { return world().alone() ? stop_.exit_code() : news_.stop; }

  /// Whether loss and gradients of this step are finite; nothing is updated. Moves the source.
  bool would_be_good(int64_t step);

 private:
  Stepper& stepper_;
  BatchSource& source_;
  const RunPlan& plan_;
  const StopSignal& stop_;
  RankNews news_;  // of the last step
  std::deque<std::pair<QueuedStep, Speed>> queued_;
};

}  // namespace previt
