#pragma once

#include <string>

#include "models/vit_options.h"
#include "models/weights/safetensors.h"

namespace previt {

/// Weights of another code base under our names (timm's; docs/official_settings.md, "Names in
/// checkpoints").
struct NamedWeights {
  NamedTensors backbone;  ///< what Vit has: cls_token, dist_token, pos_embed, reg_token, blocks.…,
                          ///< norm, fc_norm, head, head_dist
  NamedTensors extra;     ///< the rest of the same file, under its official names (decoder_…,
                          ///< mask_token, lm_head)
  std::string family;     ///< timm | mae | dino | beit | dinov2 | hf: whose conventions hold
};

/// Understands MAE, DINO, iBOT, DINOv2, BEiT, SimMIM, DeiT, timm and Hugging Face (ViT, DeiT,
/// ViTMAE, Beit, Dinov2) names, whatever wraps them ("module.", "backbone.", "teacher.backbone."
/// …). Of a student and a teacher the teacher is the backbone (networks_in's first); `prefix` says
/// which. Throws Error, led by `place`, when there is no such backbone, or when it has parts that
/// Vit has not.
NamedWeights rename_weights(const NamedTensors& weights, const std::string& place);
NamedWeights rename_weights(const NamedTensors& weights,
                            const std::string& prefix,
                            const std::string& place);

/// Options of the Vit that these backbone weights belong to. Shapes do not tell num_heads except
/// for relative positions and common widths: it is 0 when they do not. `image_size` is given for
/// tables of positions that are not square, else empty; `otherwise` is for those that `image_size`
/// doesn't fit.
VitOptions infer_options(const NamedTensors& backbone,
                         const std::vector<int64_t>& image_size,
                         const std::string& place,
                         const std::vector<int64_t>& otherwise = {});

}  // namespace previt
