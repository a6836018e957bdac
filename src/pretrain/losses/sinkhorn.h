#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "communicator.h"

namespace previt {

/// Sinkhorn-Knopp targets (dinov2/loss/dino_clstoken_loss.py): exp(logits / temperature), whose
/// sums over each prototype and over each row are made equal in turn, `iterations` times, so that a
/// batch uses all prototypes alike. logits [R, K] → float32 [R, K], with rows that sum to 1. As
/// officially, the batch is that of all ranks: sums over prototypes are those of all their rows.
at::Tensor sinkhorn_knopp(const at::Tensor& logits,
                          double temperature,
                          int64_t iterations = 3,
                          Communicator& all = world());

}  // namespace previt
