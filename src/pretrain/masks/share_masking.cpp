#include "pretrain/masks/share_masking.h"

#include <torch/types.h>

#include <algorithm>

#include "pretrain/masks/block_masking.h"

namespace previt {
namespace {

double draw_ratio(const ShareMaskOptions& o, Draws& draws) {
  std::vector<double> ratios;
  for (size_t i = 0; i < o.ratio.size(); ++i) {
    const double middle = o.ratio[i], spread = o.spread[i];
    ratios.push_back(spread > 0 ? draws.uniform(middle - spread, middle + spread) : middle);
  }
  return ratios[static_cast<size_t>(draws.integer(0, static_cast<int64_t>(ratios.size())))];
}

}  // namespace

void visit(FieldVisitor& v, ShareMaskOptions& o) {
  v.field("shape", o.shape, "blocks of patches, or each by itself");
  v.field("ratio", o.ratio, "share of a global crop that is masked; one of these", between(0, 1));
  v.field("spread", o.spread, "to both sides of each ratio, uniform", between(0, 1));
  v.field("min_aspect",
          o.min_aspect,
          "smallest height / width, or width / height, of a block",
          {0, 1, true});
}

at::Tensor share_mask(int64_t height, int64_t width, const ShareMaskOptions& o, Draws& draws) {
  const double target = draw_ratio(o, draws) * static_cast<double>(height * width);
  if (o.shape == MaskShape::block) {
    const int64_t side = std::max<int64_t>(std::min(height, width) / 3, 1);
    const BlockMaskOptions blocks{.min_patches = side * side, .min_aspect = o.min_aspect};
    return block_mask(height, width, target, blocks, draws).flatten();
  }
  const auto order = torch::tensor(random_permutation(height * width, draws));
  const auto masked = static_cast<int64_t>(std::max(target, 0.0));
  return torch::zeros({height * width}, torch::kBool)
      .index_fill_(0, order.narrow(0, 0, masked), true);
}

}  // namespace previt
