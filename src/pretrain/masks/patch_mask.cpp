#include "pretrain/masks/patch_mask.h"

#include <torch/types.h>

#include "upload.h"

namespace previt {

at::Tensor masked_patches(const at::Tensor& mask) { return mask.flatten().nonzero().flatten(); }

// The indices alone are uploaded, as the mask follows from them.
PatchMask::PatchMask(const at::Tensor& mask, at::Device device)
    : PatchMask(upload(masked_patches(mask), device), mask.size(0), mask.size(1)) {}

PatchMask::PatchMask(const at::Tensor& of_all, int64_t images, int64_t per_image)
    : masked(torch::zeros({images * per_image}, of_all.options().dtype(torch::kBool))
                 .index_fill_(0, of_all, true)
                 .view({images, per_image})),
      patches(of_all) {}

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
