#pragma once

namespace previt::cli {

/// `bench knn`: the exact neighbour search beside one plain matrix product and top-k.
int bench_knn(int argc, char** argv);

}  // namespace previt::cli
