#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// Σ over the rows of weight · cross-entropy of softmax(logits / temperature) with the targets, in
/// float32. It is iBOT's and DINOv2's loss of masked patches, and DINOv2's of class tokens. logits
/// [R, K], targets [R, K] (not negative, no gradient), weights [R] → scalar. Throws Error if the
/// shapes don't fit together.
at::Tensor weighted_cross_entropy(const at::Tensor& logits,
                                  const at::Tensor& targets,
                                  const at::Tensor& weights,
                                  double temperature);

}  // namespace previt
