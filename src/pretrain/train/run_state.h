#pragma once

#include <string>
#include <vector>

#include "models/weights/checkpoint.h"
#include "pretrain/objective.h"
#include "pretrain/train/run_position.h"
#include "pretrain/train/stepper.h"

namespace previt {

/// All tensors that training changes. The backbone (its average, if there is one) is stored apart
/// under timm's names, ready for export. Nothing is stored twice:
///
///     objective.<name>         parameters and buffers, except those of the exported backbone
///     average.<name>           moving average of what is not the backbone's
///     optimizer.<slot>.<name>  optimizer state
///
/// The tensors share memory with the run.
Checkpoint collect(Objective& objective, Stepper& stepper);

/// Puts the tensors back. Throws Error naming a tensor that is missing or has another shape.
void restore(const Checkpoint& checkpoint, Objective& objective, Stepper& stepper);

/// Puts back the tensors, where the run stands, and in which ways its matmuls are computed. Throws
/// Error, led by the checkpoint's folder, for what is missing or doesn't fit.
void restore_run(const Checkpoint& checkpoint,
                 Objective& objective,
                 Stepper& stepper,
                 RunPosition& position);

}  // namespace previt
