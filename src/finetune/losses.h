#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

// Classification losses, means over the batch, computed in float32 whatever the type of the logits.
// B images, C classes.

/// logits [B, C], labels [B] int64 → scalar.
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels);

/// (1 - smoothing) · CE + smoothing · mean over classes of -log p (timm
/// LabelSmoothingCrossEntropy): logits [B, C], labels [B] int64 → scalar.
at::Tensor label_smoothing_cross_entropy(const at::Tensor& logits,
                                         const at::Tensor& labels,
                                         double smoothing);

/// -Σ targets · log p (timm SoftTargetCrossEntropy): logits [B, C], targets [B, C] → scalar.
at::Tensor soft_target_cross_entropy(const at::Tensor& logits, const at::Tensor& targets);

/// Cross-entropy with the teacher's best class (deit:losses.py): both logits [B, C] → scalar.
at::Tensor hard_distillation_loss(const at::Tensor& student, const at::Tensor& teacher);

/// temperature² · KL(teacher ‖ student) of the softmaxes of logits / temperature. It is summed
/// over the batch and divided by B · C, as the official code does (not by B): both logits [B, C] →
/// scalar.
at::Tensor soft_distillation_loss(const at::Tensor& student,
                                  const at::Tensor& teacher,
                                  double temperature);

/// labels [B] int64 → float32 [B, C]: 1 - smoothing + smoothing / C at the label, smoothing / C
/// elsewhere.
at::Tensor smoothed_targets(const at::Tensor& labels, int64_t num_classes, double smoothing);

}  // namespace previt
