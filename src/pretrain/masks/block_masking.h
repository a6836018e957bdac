#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "batch.h"
#include "random.h"

namespace previt {

/// Blocks of patches that are masked together (unilm:beit/masking_generator.py; iBOT and DINOv2
/// draw theirs the same way).
struct BlockMaskOptions {
  int64_t min_patches = 16;  ///< of a block, before its sides are rounded
  int64_t max_patches = 0;   ///< 0: as many as are left to mask
  double min_aspect = 0.3;   ///< height / width is between this and its inverse
};
void visit(FieldVisitor& v, BlockMaskOptions& o);

/// Adds blocks until `target` patches of the grid are masked, or ten attempts in a row find no
/// block that fits: never more than `target`, sometimes fewer. Returns bool [height, width] on the
/// host.
at::Tensor block_mask(
    int64_t height, int64_t width, double target, const BlockMaskOptions& options, Draws& draws);

/// One mask per image, each from its own mask_stream: bool [B, height·width] on the host. An empty
/// one is drawn again, as an image without a mask teaches nothing. It stays empty only where no
/// block fits the grid.
at::Tensor block_masks(const Batch& batch,
                       int64_t height,
                       int64_t width,
                       double target,
                       const BlockMaskOptions& options,
                       int64_t seed);

}  // namespace previt
