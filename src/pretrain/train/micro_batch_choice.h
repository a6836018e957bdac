#pragma once

#include <functional>

#include "pretrain/run_options.h"

namespace previt {

/// Calls `work` with train.micro_batch as it is. As long as memory runs out in it, on the host or
/// on a GPU, warns, halves train.micro_batch and calls it again. Throws Error where one image is
/// too many, or where `work` refuses the half with a UsageError, as losses over a whole batch do.
void halve_until_it_fits(TrainOptions& train, const std::function<void()>& work);

/// Calls `work`, as one of several processes, which can't begin anew by itself. Where memory runs out
/// in it, begin_anew(images) is told for how many images at a time, and says whether all processes
/// will be started anew with fewer. Throws Error that says so, or which train.micro_batch to set.
void require_that_it_fits(TrainOptions train,
                          const std::function<void()>& work,
                          const std::function<bool(int64_t images)>& begin_anew);

/// Sets train.micro_batch to the largest possible one of at most half as many images as `too_many`,
/// unless it is smaller already.
void halve(TrainOptions& train, int64_t too_many);

/// The largest of the batch, its half, its quarter … for which a step stays within `bytes`; 1 where
/// none does. fixed, per_image: what it takes, in bytes (Trial::main_memory).
int64_t micro_batch_within(TrainOptions train, double fixed, double per_image, double bytes);

}  // namespace previt
