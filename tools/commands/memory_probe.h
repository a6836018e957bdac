#pragma once

#include "commands/memory_estimate.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {

/// What memory_need has to know of a run whose train.precision is decided. Builds the method with
/// one block and with two (where it can't be, as deep as it is), counts its weights, and makes a
/// few steps with it on the CPU; the blocks that are left are counted by arithmetic. In methods
/// whose tokens are not known here, a block's bytes are what the second one adds.
MemoryShape memory_shape(const PretrainRun& run);

/// The most bytes that the run's tensors hold in its second step.
double measured_peak(const PretrainRun& run);

}  // namespace previt::cli
