#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "options.h"
#include "random.h"

namespace previt {

/// Which crops of a batch are masked, and how much of them (dinov2/data/collate.py).
struct SpreadMaskOptions {
  double probability = 0.5;                ///< share of the crops that are masked
  std::vector<double> ratio = {0.1, 0.5};  ///< least and largest share of such a crop
};
void visit(FieldVisitor& v, SpreadMaskOptions& o);

/// Masks of a batch's crops, bool [crops, height · width] on the host. The masked crops' shares are
/// spread evenly over `ratio`, one in each of as many slices. Blocks are block_mask's, of at least
/// 4 patches and at most half of the crop (dinov2/data/masking.py).
at::Tensor spread_masks(
    int64_t crops, int64_t height, int64_t width, const SpreadMaskOptions& options, Draws& draws);

}  // namespace previt
