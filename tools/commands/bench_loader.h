#pragma once

namespace previt::cli {

/// `bench loader`: times reading, decoding and augmenting for a recipe's views; prints one JSON
/// line.
int bench_loader(int argc, char** argv);

}  // namespace previt::cli
