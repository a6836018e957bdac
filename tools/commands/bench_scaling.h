#pragma once

namespace previt::cli {

/// `bench scaling`: the step of one process beside that of several, or of many GPUs as simulated
/// (scaling_simulation.h); prints one JSON line.
int bench_scaling(int argc, char** argv);

}  // namespace previt::cli
