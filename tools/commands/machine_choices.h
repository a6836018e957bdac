#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "pretrain/run_options.h"

namespace previt::cli {

/// Decides what a recipe leaves to the machine: train.precision, if it is `auto`, and whether
/// matmuls are measured. A run that goes on keeps the precision in its recipe.yaml, and the
/// micro-batch, which otherwise only its first steps decide (first_steps.h). Draws from torch's
/// generator, so it comes before that is seeded. Several processes take what rank 0 chose, but for
/// the matmuls, which each measures for itself; they wait for each other for train.timeout from
/// here on.
/// resumed: the run folder of a run that goes on; "" for a new one.
void decide_for_machine(RunOptions& run, at::Device device, const std::string& resumed = "");

}  // namespace previt::cli
