#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// Sinkhorn-Knopp targets (dinov2/loss/dino_clstoken_loss.py): exp(logits / temperature) with its
/// prototypes' sums and its rows' sums made equal in turn, `iterations` times, so that a batch uses
/// all prototypes alike. logits [R, K] → float32 [R, K], rows summing to 1.
at::Tensor sinkhorn_knopp(const at::Tensor& logits, double temperature, int64_t iterations = 3);

}  // namespace previt
