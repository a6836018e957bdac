#include "parity/parity.h"
#include "pretrain/masks/random_masking.h"

using namespace previt;

PARITY_CASE(mae_len_keep) {
  const at::Tensor lengths = fixture.at("input.L");
  const at::Tensor ratios = fixture.at("input.mask_ratio");
  at::Tensor kept = torch::empty_like(lengths);
  for (int64_t i = 0; i < lengths.size(0); ++i) {
    kept[i] = kept_patches(lengths[i].item<int64_t>(), ratios[i].item<double>());
  }
  check.exact("len_keep", kept, fixture.at("output.len_keep"));
}
