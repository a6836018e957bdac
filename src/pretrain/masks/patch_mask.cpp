#include "pretrain/masks/patch_mask.h"

#include <torch/types.h>

#include "upload.h"

namespace previt {

// The indices are found on the host: on another device, the host would have to wait for their
// number. They alone are uploaded, as the mask follows from them.
PatchMask::PatchMask(const at::Tensor& mask, at::Device device)
    : patches(upload(mask.flatten().nonzero().flatten(), device)) {
  masked = torch::zeros({mask.numel()}, torch::dtype(torch::kBool).device(device))
               .index_fill_(0, patches, true)
               .view(mask.sizes());
}

at::Tensor PatchMask::token_rows(int64_t prefix) const {
  // Before a patch of image i stand the prefix tokens of i + 1 images.
  return patches + (patches.div(masked.size(1), "floor") + 1) * prefix;
}

at::Tensor PatchMask::weights() const {
  const at::Tensor counts = masked.sum(1).clamp_min(1);
  const at::Tensor of_image = (counts * masked.size(0)).to(torch::kFloat32).reciprocal();
  return of_image.index_select(0, patches.div(masked.size(1), "floor"));
}

at::Tensor PatchMask::select(const at::Tensor& values) const {
  return values.flatten(0, 1).index_select(0, patches);
}

}  // namespace previt
