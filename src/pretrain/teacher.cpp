#include "pretrain/teacher.h"

#include <ATen/ops/_foreach_lerp.h>
#include <torch/utils.h>

#include <algorithm>

#include "models/weights.h"
#include "pretrain/losses/feature_statistics.h"

namespace previt {

double TeacherTemperature::at(const StepInfo& info) const {
  const int64_t epoch = info.whole_epoch();
  if (epoch >= warmup_epochs) return value;
  const auto gaps = static_cast<double>(std::max<int64_t>(warmup_epochs - 1, 1));
  return warmup + static_cast<double>(epoch) / gaps * (value - warmup);
}

VitOptions without_drop_path(VitOptions model) {
  model.drop_path = 0;
  return model;
}

TeacherAverage::TeacherAverage(torch::nn::Module& teacher, const torch::nn::Module& student) {
  load_into(teacher, named_tensors(student));
  const auto of_student = student.named_parameters();
  for (auto& parameter : teacher.named_parameters()) {
    parameter.value().set_requires_grad(false);
    const at::Tensor* same = of_student.find(parameter.key());
    if (same == nullptr) continue;
    teacher_.push_back(parameter.value());
    student_.push_back(*same);
  }
}

void TeacherAverage::move(double momentum) {
  const torch::NoGradGuard no_grad;
  at::_foreach_lerp_(teacher_, student_, 1 - momentum);
}

Metrics distillation_metrics(const at::Tensor& loss,
                             const at::Tensor& targets,
                             const at::Tensor& features,
                             const StepInfo& info,
                             int64_t log_steps) {
  const torch::NoGradGuard no_grad;
  const TargetStatistics statistics = target_statistics(targets);
  Metrics metrics = {{"teacher_entropy", statistics.entropy},
                     // a cross-entropy is the targets' entropy and the divergence from them
                     {"student_kl", loss.detach() - statistics.entropy},
                     {"top_prototype", statistics.top_share},
                     {"feature_spread", feature_spread(features)}};
  if (info.step % log_steps == 0 && info.micro_step == 0) {
    metrics.emplace_back("feature_rank", torch::tensor(effective_rank(features)));
  }
  return metrics;
}

}  // namespace previt
