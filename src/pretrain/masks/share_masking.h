#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "options.h"
#include "random.h"

namespace previt {

/// Blocks of patches, or each patch by itself.
enum class MaskShape { block, random };
constexpr auto enum_names(MaskShape) { return std::array{"block", "random"}; }

/// How much of a picture is masked, where that differs from one to the next (ibot:loader.py). Each
/// of `ratio` is drawn within its `spread`, then one of them is chosen. {0, 0.3} with {0, 0.2}
/// masks half of the pictures, by a tenth to a half.
struct ShareMaskOptions {
  MaskShape shape = MaskShape::block;
  std::vector<double> ratio = {0.3};
  std::vector<double> spread = {0};  ///< of each ratio to both sides, uniform
  double min_aspect = 0.3;           ///< of a block
};
void visit(FieldVisitor& v, ShareMaskOptions& o);

/// A mask, bool [height · width] on the host. Blocks are block_mask's, of at least a ninth of the
/// shorter side's square.
at::Tensor share_mask(int64_t height, int64_t width, const ShareMaskOptions& options, Draws& draws);

}  // namespace previt
