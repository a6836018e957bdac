#include "pretrain/masked_features.h"

#include <torch/types.h>

namespace previt {

at::Tensor cls_and_masked_features(Vit& vit,
                                   const at::Tensor& images,
                                   const PatchMask& mask,
                                   const at::Tensor& mask_token) {
  const at::Tensor tokens = mask_token.defined()
                                ? vit.embed(images, mask.masked, mask_token.unsqueeze(0))
                                : vit.embed(images);
  const at::Tensor cls = torch::arange(tokens.size(0), mask.patches.options()).mul_(tokens.size(1));
  const int64_t patch = vit.options().patch_size;
  return vit.norm(vit.run_blocks_rows(tokens,
                                      images.size(2) / patch,
                                      images.size(3) / patch,
                                      torch::cat({cls, mask.token_rows(vit.num_prefix_tokens())})));
}

}  // namespace previt
