#pragma once

#include <string>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/run_plan.h"

namespace previt {

// What can't be or is odd about a run, before its first step.

/// Throws UsageError where a micro-batch of the plan has too few images for the loss, or the rate
/// is always 0.
void require_possible(const Objective& objective, const RunOptions& options, const RunPlan& plan);

/// Warns of a warm-up longer than the run and of a micro-batch that isn't the wanted one.
void warn_of_odd_plan(const RunOptions& options, const RunPlan& plan);

/// A folder may lose and gain images while a run is stopped. As long as the steps of an epoch stay
/// the same, the run goes on, with a warning; else UsageError, as where images were `held_out` of
/// the folder: they would become others, and be trained on. `before`: images in the checkpoint.
void require_same_images(const TrainOptions& options,
                         const RunPlan& plan,
                         int64_t before,
                         bool held_out);

/// UsageError where the images held out are others than those in the run's held_out.json: the run
/// trained on some of them. A run without one goes on.
void require_same_held_out(const std::string& run_folder, const std::string& now);

}  // namespace previt
