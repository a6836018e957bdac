#include "pretrain/masks/spread_masking.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "pretrain/masks/block_masking.h"
#include "view_ops.h"

namespace previt {

void visit(FieldVisitor& v, SpreadMaskOptions& o) {
  v.field("probability", o.probability, "share of the global crops that are masked", between(0, 1));
  v.field("ratio", o.ratio, "least and largest share of such a crop", between(0, 1));
  v.check("ratio", wrong_bounds(o.ratio));
}

at::Tensor spread_masks(
    int64_t crops, int64_t height, int64_t width, const SpreadMaskOptions& o, Draws& draws) {
  const int64_t patches = height * width;
  const BlockMaskOptions blocks{.min_patches = 4, .max_patches = std::max<int64_t>(patches / 2, 1)};
  const auto masked = static_cast<int64_t>(static_cast<double>(crops) * o.probability);
  const double slice = (o.ratio.back() - o.ratio.front()) / static_cast<double>(masked);
  const std::vector<int64_t> order = random_permutation(crops, draws);
  const at::Tensor masks = torch::zeros({crops, patches}, torch::kBool);
  for (int64_t i = 0; i < masked; ++i) {
    const double begin = o.ratio.front() + slice * static_cast<double>(i);
    const double share = draws.uniform(begin, begin + slice);
    const double target = std::floor(share * static_cast<double>(patches));
    masks[order[static_cast<size_t>(i)]].copy_(
        block_mask(height, width, target, blocks, draws).flatten());
  }
  return masks;
}

}  // namespace previt
