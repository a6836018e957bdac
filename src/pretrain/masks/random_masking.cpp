#include "pretrain/masks/random_masking.h"

#include <torch/types.h>

#include "pretrain/masks/mask_stream.h"

namespace previt {

int64_t kept_patches(int64_t patches, double mask_ratio) {
  return static_cast<int64_t>(static_cast<double>(patches) * (1 - mask_ratio));
}

at::Tensor RandomMask::kept_ids() const { return order.narrow(1, 0, kept); }

at::Tensor RandomMask::masked_ids() const { return order.narrow(1, kept, order.size(1) - kept); }

at::Tensor RandomMask::restore() const { return order.argsort(/*stable=*/true, /*dim=*/1); }

at::Tensor RandomMask::binary() const {
  return torch::ones(order.sizes(), order.options().dtype(torch::kFloat32))
      .scatter_(1, kept_ids(), 0.0);
}

at::Tensor mask_noise(const Batch& batch, int64_t patches, int64_t seed) {
  const int64_t images = batch.indices.size(0);
  const at::Tensor noise = torch::empty({images, patches});
  float* value = noise.mutable_data_ptr<float>();
  for (int64_t i = 0; i < images; ++i) {
    Random random = mask_stream(batch, i, seed);
    for (int64_t j = 0; j < patches; ++j) *value++ = static_cast<float>(random.uniform(0, 1));
  }
  return noise;
}

RandomMask random_mask(const at::Tensor& noise, double mask_ratio) {
  TORCH_CHECK(noise.dim() == 2 && noise.scalar_type() == torch::kFloat32,
              "random_mask: noise must be float32 [B, L]");
  return {noise.argsort(/*stable=*/true, /*dim=*/1), kept_patches(noise.size(1), mask_ratio)};
}

at::Tensor gather_tokens(const at::Tensor& tokens, const at::Tensor& ids) {
  // One index_select over all rows of the batch copies whole rows; gather would read an index per
  // value.
  const at::Tensor offsets = torch::arange(tokens.size(0), ids.options()).mul_(tokens.size(1));
  const at::Tensor rows = (ids + offsets.unsqueeze(1)).flatten();
  return tokens.flatten(0, 1).index_select(0, rows).view(
      {ids.size(0), ids.size(1), tokens.size(2)});
}

}  // namespace previt
