#pragma once

#include <ATen/core/Tensor.h>

#include "models/vit.h"
#include "pretrain/masks/patch_mask.h"

namespace previt {

/// What iBOT and DINOv2 read of images [B, C, H, W] whose patches are masked, after the final norm:
/// class tokens, then masked patches, [B + R, D]. All else of the last block and the norm isn't
/// computed. The patches wear `mask_token` [1, D] where it is defined; a teacher's stay as they
/// are.
at::Tensor cls_and_masked_features(Vit& vit,
                                   const at::Tensor& images,
                                   const PatchMask& mask,
                                   const at::Tensor& mask_token);

}  // namespace previt
