#pragma once

#include "batch.h"
#include "cli/main.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {

/// --recipe, --batch and --set, which benches of steps have in common.
void add_run_options(po::options_description& options);

/// The run that they describe; --batch is all of a step at once.
PretrainRun read_bench_run(const po::variables_map& args);

/// `images` random pictures as the loader gives them: uint8, channels last.
Batch random_pictures(const Objective& objective, const RunOptions& options, int64_t images);

/// A step in the middle of a long run: past the warm-up, so that the rate isn't 0.
StepInfo middle_step();

}  // namespace previt::cli
