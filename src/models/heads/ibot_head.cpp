#include "models/heads/ibot_head.h"

namespace previt {

IbotHead::IbotHead(int64_t in_dim,
                   const DinoHeadOptions& options,
                   int64_t patch_prototypes,
                   bool shared)
    : DinoHead(in_dim, options), patch_g(weight_g), patch_v(weight_v) {
  if (shared) return;
  const Prototypes own = add_prototypes("last_layer2", patch_prototypes, options);
  patch_g = own.g;
  patch_v = own.v;
}

at::Tensor IbotHead::cls_logits(const at::Tensor& rows) const {
  return compare(rows, weight_v, weight_g, weight_v_copy_);
}

at::Tensor IbotHead::patch_logits(const at::Tensor& rows) const {
  WeightCopy& copy = patch_v.is_same(weight_v) ? weight_v_copy_ : patch_v_copy_;
  return compare(rows, patch_v, patch_g, copy);
}

}  // namespace previt
