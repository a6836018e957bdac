#pragma once

#include "models/heads/dino_head.h"

namespace previt {

/// DINO's head with prototypes for class tokens and for patches (ibot:models/head.py). Those for
/// patches are last_layer2.weight_g [K, 1] and last_layer2.weight_v [K, C]; a shared head has none,
/// and uses last_layer for both.
class IbotHead : public DinoHead {
 public:
  IbotHead(int64_t in_dim, const DinoHeadOptions& options, int64_t patch_prototypes, bool shared);

  /// From bottleneck() [R, C] → logits, float32 [R, K].
  at::Tensor cls_logits(const at::Tensor& rows) const;
  at::Tensor patch_logits(const at::Tensor& rows) const;

  at::Tensor patch_g, patch_v;  ///< with a shared head those of last_layer

 private:
  mutable WeightCopy patch_v_copy_;
};

}  // namespace previt
