#pragma once

#include <string>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/run_plan.h"

namespace previt {

// Checks of a run before its first step: what is impossible about it, and what is odd.

/// Throws UsageError if a micro-batch of the plan has too few images for the loss, or the rate is
/// always 0.
void require_possible(const Objective& objective, const RunOptions& options, const RunPlan& plan);

/// Warns of a warm-up longer than the run, of a micro-batch that isn't the one asked for, and of
/// what the objective finds odd.
void warn_of_odd_plan(const Objective& objective, const RunOptions& options, const RunPlan& plan);

/// A folder may lose or gain images while a run is stopped. If an epoch still has as many steps,
/// the run goes on, with a warning. Throws UsageError otherwise, and if images were `held_out` of
/// the folder: a run without held_out.json would hold out others now, and train on the old ones.
/// `before` is the number of images in the checkpoint.
void require_same_images(const TrainOptions& options,
                         const RunPlan& plan,
                         int64_t before,
                         bool held_out);

/// Throws UsageError if the images held out are not those in the run's held_out.json, since the run
/// trained on some of them. A run without that file goes on.
void require_same_held_out(const std::string& run_folder, const std::string& now);

}  // namespace previt
