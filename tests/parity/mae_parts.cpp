#include "parity/parity.h"

using namespace previt;

// How many patches stay visible: truncated in double precision (mae:models_mae.py random_masking).
PARITY_CASE(mae_len_keep) {
  const at::Tensor lengths = fixture.at("input.L");
  const at::Tensor ratios = fixture.at("input.mask_ratio");
  at::Tensor kept = torch::empty_like(lengths);
  for (int64_t i = 0; i < lengths.size(0); ++i) {
    kept[i] = static_cast<int64_t>(static_cast<double>(lengths[i].item<int64_t>()) * (1 - ratios[i].item<double>()));
  }
  check.exact("len_keep", kept, fixture.at("output.len_keep"));
}
