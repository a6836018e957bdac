#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// Sinkhorn-Knopp targets (dinov2/loss/dino_clstoken_loss.py): exp(logits / temperature), whose
/// sums over each prototype and over each row are made equal in turn, `iterations` times, so that a
/// batch uses all prototypes alike. logits [R, K] → float32 [R, K], with rows that sum to 1.
at::Tensor sinkhorn_knopp(const at::Tensor& logits, double temperature, int64_t iterations = 3);

}  // namespace previt
