#pragma once

namespace previt::cli {

/// `bench memory`: estimates the memory that a recipe needs, and measures it if asked; prints one
/// JSON line.
int bench_memory(int argc, char** argv);

}  // namespace previt::cli
