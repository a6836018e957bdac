#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace previt {

class Vit;

/// What vit.pooled gives for several crops of the same images, [V·B, D] view by view. Neighbouring
/// crops of one size go through the network in one pass. views: V tensors [B, C, H, W].
at::Tensor multi_crop_features(Vit& vit, const std::vector<at::Tensor>& views);

}  // namespace previt
