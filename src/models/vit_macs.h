#pragma once

#include <cstdint>

#include "models/vit_options.h"

namespace previt {

// Multiply-adds (MACs) of a forward pass: two FLOPs each, and three times as many to train.

/// A block in which `queries` of `tokens` tokens are computed; its heads are `attention` wide
/// together.
double block_macs(
    int64_t tokens, int64_t queries, int64_t dim, double mlp_ratio, int64_t attention);

/// Embedding, and Vit::run_blocks_rows for `rows` tokens, of one image of options.image_size.
double blocks_rows_macs(const VitOptions& options, int64_t rows);

/// Vit::pooled of one image of this size, in pixels.
double pooled_macs(const VitOptions& options, int64_t height, int64_t width);

}  // namespace previt
