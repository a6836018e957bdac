#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "models/vit_options.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/objective.h"

namespace previt {

// What self-distilling methods (DINO, iBOT) share beside their losses.

/// The temperature of a teacher's targets: linear over whole epochs, its first and last value
/// included, then constant.
struct TeacherTemperature {
  double warmup = 0.04;  ///< in the first epoch
  double value = 0.04;   ///< from the last warm-up epoch on
  int64_t warmup_epochs = 0;

  double at(const StepInfo& info) const;
};

/// A teacher doesn't drop paths.
VitOptions without_drop_path(VitOptions model);

/// Teacher parameters that follow those of the same name in the student, frozen and started equal.
class TeacherAverage {
 public:
  TeacherAverage() = default;
  TeacherAverage(torch::nn::Module& teacher, const torch::nn::Module& student);

  /// teacher ← momentum · teacher + (1 - momentum) · student.
  void move(double momentum);

 private:
  std::vector<at::Tensor> teacher_, student_;
};

/// Metrics that show a collapse: teacher_entropy, student_kl, top_prototype, feature_spread, and
/// where the step's number is a multiple of log_steps feature_rank. `loss` is the cross-entropy
/// with `targets` [R, K]; features [R, D] are the teacher's.
Metrics distillation_metrics(const at::Tensor& loss,
                             const at::Tensor& targets,
                             const at::Tensor& features,
                             const StepInfo& info,
                             int64_t log_steps);

}  // namespace previt
