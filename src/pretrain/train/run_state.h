#pragma once

#include <string>
#include <vector>

#include "models/weights/checkpoint.h"
#include "pretrain/objective.h"
#include "pretrain/train/stepper.h"

namespace previt {

/// All tensors that training changes. The backbone goes under timm's names to where it is exported
/// from (its average, when there is one); nothing is stored twice:
///
///     objective.<name>         parameters and buffers, but those of the backbone that is exported
///     average.<name>           moving average of what is not the backbone's
///     optimizer.<slot>.<name>  optimizer state
///
/// The tensors share memory with the run.
Checkpoint collect(Objective& objective, Stepper& stepper);

/// Puts them back. Throws Error naming a tensor that is missing or has another shape.
void restore(const Checkpoint& checkpoint, Objective& objective, Stepper& stepper);

}  // namespace previt
