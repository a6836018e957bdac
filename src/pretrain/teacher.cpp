#include "pretrain/teacher.h"

#include <ATen/ops/_foreach_lerp.h>
#include <torch/utils.h>

#include <algorithm>

#include "error.h"
#include "models/layers/unit_length.h"
#include "models/weights/weights.h"
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

Metrics DistillationMetrics::add(const at::Tensor& loss,
                                 const at::Tensor& targets,
                                 const at::Tensor& features,
                                 const StepInfo& info) {
  const torch::NoGradGuard no_grad;
  if (info.micro_step == 0) reset();
  const at::Tensor entropy = target_entropy(targets);
  // A cross-entropy is the targets' entropy and the divergence from them.
  Metrics metrics = {{"teacher_entropy", entropy}, {"student_kl", loss.detach() - entropy}};
  const at::Tensor rows = features.detach().to(torch::kFloat32);
  targets_.add(targets);
  unit_features_.add(unit_length(rows));
  // A line is written after a multiple of log_steps within the epoch: this is the next one's first.
  const bool ranked = info.step % info.steps_per_epoch % log_steps_ == 0;
  if (ranked) features_.push_back(rows);
  if (info.micro_step + 1 < info.accumulation) return metrics;
  metrics.emplace_back("top_prototype", targets_.mean().max());
  metrics.emplace_back("feature_spread", spread_around(unit_features_.mean()));
  if (ranked) {
    metrics.emplace_back("feature_rank", torch::tensor(effective_rank(torch::cat(features_))));
  }
  return metrics;
}

void DistillationMetrics::reset() {
  targets_.reset();
  unit_features_.reset();
  features_.clear();
}

void check_head(const std::string& section,
                const DinoHeadOptions& head,
                const TrainOptions& train) {
  if (!head.use_bn) return;
  if (head.layers == 1) {
    fail_usage(
        "{}.head.use_bn: a head of one layer has nothing to normalise; use layers: 2 or "
        "more, or use_bn: false",
        section);
  }
  if (train.micro() < train.batch) {
    fail_usage(
        "{}.head.use_bn: its statistics need the whole batch at once; set "
        "train.micro_batch: 0, or use_bn: false",
        section);
  }
}

}  // namespace previt
