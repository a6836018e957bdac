#include "finetune/losses.h"

#include <torch/types.h>

namespace previt {
namespace {

at::Tensor log_probabilities(const at::Tensor& logits) {
  return logits.to(torch::kFloat32).log_softmax(-1);
}

at::Tensor label_terms(const at::Tensor& log_p, const at::Tensor& labels) {
  return -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1);
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels) {
  return label_terms(log_probabilities(logits), labels).mean();
}

at::Tensor label_smoothing_cross_entropy(const at::Tensor& logits,
                                         const at::Tensor& labels,
                                         double smoothing) {
  const at::Tensor log_p = log_probabilities(logits);
  return ((1 - smoothing) * label_terms(log_p, labels) - smoothing * log_p.mean(-1)).mean();
}

at::Tensor soft_target_cross_entropy(const at::Tensor& logits, const at::Tensor& targets) {
  return -(targets * log_probabilities(logits)).sum(-1).mean();
}

at::Tensor hard_distillation_loss(const at::Tensor& student, const at::Tensor& teacher) {
  return cross_entropy(student, teacher.argmax(-1));
}

at::Tensor soft_distillation_loss(const at::Tensor& student,
                                  const at::Tensor& teacher,
                                  double temperature) {
  const at::Tensor log_p = log_probabilities(student / temperature);
  const at::Tensor log_q = log_probabilities(teacher / temperature);
  const at::Tensor divergence = (log_q.exp() * (log_q - log_p)).sum();
  return divergence * (temperature * temperature / static_cast<double>(student.numel()));
}

at::Tensor smoothed_targets(const at::Tensor& labels, int64_t num_classes, double smoothing) {
  const double off = smoothing / static_cast<double>(num_classes);
  return torch::full({labels.size(0), num_classes}, off, labels.options().dtype(torch::kFloat32))
      .scatter_(1, labels.unsqueeze(1), 1 - smoothing + off);
}

}  // namespace previt
