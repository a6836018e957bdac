#pragma once

#include <string>

#include "parity/parity.h"
#include "pretrain/objectives/dinov2.h"

namespace previt::parity {

// The run of a fixture dinov2_step, as its configuration says.

RunOptions dinov2_run(const Fixture& fixture);
Dinov2Options dinov2_options(const Fixture& fixture);

/// An official name as ours.
std::string own_name(std::string name);

/// Where the run stands at its iteration `step`, of all, not only of those in the file.
StepInfo dinov2_info(const Fixture& fixture, int64_t step);

/// The mask of the file's step, and the crops, which are the same in all, with it.
PatchMask dinov2_mask(const Fixture& fixture, int64_t step);
Batch dinov2_batch(const Fixture& fixture, const PatchMask& mask);

/// Both networks and the centers, as they are before the first step.
NamedTensors first_weights(const Fixture& fixture);

}  // namespace previt::parity
