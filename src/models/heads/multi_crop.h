#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace previt {

class Vit;

/// What vit.pooled gives for several crops of the same images, [V·B, D], view by view. views: V
/// tensors [B, C, H, W]. Neighbours of the same size go through the network in one pass
/// (dino:utils.py MultiCropWrapper).
at::Tensor multi_crop_features(Vit& vit, const std::vector<at::Tensor>& views);

}  // namespace previt
