#pragma once

#include <cstdint>

#include "pretrain/run_options.h"
#include "pretrain/train/run_plan.h"

namespace previt {

/// What a run does after so many steps, before it makes the next one.
struct DueWork {
  const RunPlan& plan;
  const OutputOptions& output;

  bool line(int64_t steps) const {
    return line_due(steps, plan.steps_per_epoch(), output.log_steps);
  }
  bool previews(int64_t steps) const {
    return steps == plan.total_steps() || plan.due(output.preview_epochs, steps);
  }
  bool save(int64_t steps) const {
    return steps < plan.total_steps() && plan.due(output.checkpoint_epochs, steps);
  }
  bool any(int64_t steps) const { return line(steps) || previews(steps) || save(steps); }
};

}  // namespace previt
