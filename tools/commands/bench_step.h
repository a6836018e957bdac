#pragma once

namespace previt::cli {

/// `bench step`: times training steps of a recipe on pictures in memory; prints one JSON line.
int bench_step(int argc, char** argv);

}  // namespace previt::cli
