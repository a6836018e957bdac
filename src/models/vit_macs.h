#pragma once

#include <cstdint>

#include "models/vit_options.h"

namespace previt {

// Multiply-adds (MACs) of a forward pass. Each is two FLOPs. A training step has three times as
// many.

/// One block that computes `queries` of its `tokens` tokens. `attention` is the width of all heads
/// together.
double block_macs(
    int64_t tokens, int64_t queries, int64_t dim, double mlp_ratio, int64_t attention);

/// Embedding and Vit::run_blocks_rows with `rows` rows, for one image of options.image_size.
double blocks_rows_macs(const VitOptions& options, int64_t rows);

/// Vit::pooled for one image of height × width pixels.
double pooled_macs(const VitOptions& options, int64_t height, int64_t width);

}  // namespace previt
