#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

// BEiT's relative positions (unilm:beit/modeling_finetune.py). A table has one row per offset
// between two patches of an h × w grid, row by row, and three more: cls to patch, patch to cls, cls
// to cls.

/// Rows of a table: (2h-1)(2w-1) + 3.
int64_t relative_position_rows(int64_t grid_height, int64_t grid_width);

/// Which row each pair of tokens (cls first, then patches) reads: int64 [N, N], N = h·w + 1.
at::Tensor relative_position_index(int64_t grid_height, int64_t grid_width);

/// table [rows, H] read through the index: the bias of the attention logits, [H, N, N].
at::Tensor relative_position_bias(const at::Tensor& table, const at::Tensor& index);

/// Resamples a table [rows, H] for another grid as BEiT's fine-tuning does: the old offsets are
/// placed at a geometric progression that reaches the new largest offset, an interpolating cubic
/// spline runs through them, and it is read at every new offset. Offsets beyond the last old one
/// take its value. The last three rows stay. Differentiable; the same grid gives the table itself.
/// Throws Error for a table whose rows do not belong to the old grid.
at::Tensor resize_relative_table(const at::Tensor& table,
                                 int64_t old_height,
                                 int64_t old_width,
                                 int64_t new_height,
                                 int64_t new_width);

}  // namespace previt
