#pragma once

#include <memory>

#include "models/vit.h"

namespace previt {

/// Two blocks 16 wide on 16 patches of 4 × 4 pixels.
inline VitOptions tiny_vit() {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 16;
  o.depth = 2;
  o.num_heads = 2;
  o.mlp_ratio = 2;
  o.image_size = {16};
  o.patch_size = 4;
  return o;
}

/// A Vit whose every parameter is random, so that a part left out shows.
inline std::shared_ptr<Vit> random_vit(const VitOptions& options) {
  torch::manual_seed(1);
  auto vit = std::make_shared<Vit>(options);
  torch::NoGradGuard no_grad;
  for (auto& parameter : vit->parameters()) {
    if (parameter.requires_grad()) parameter.normal_(0, 0.3);
  }
  return vit;
}

inline bool nearly_equal(const at::Tensor& a, const at::Tensor& b, double tolerance = 1e-5) {
  return a.sizes() == b.sizes() && (a - b).abs().max().item<double>() <= tolerance;
}

}  // namespace previt
