#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "pretrain/objective.h"

namespace previt {

/// The temperature of a teacher's targets: linear over the epochs of its warm-up, first and last
/// value included, then constant (dino:main_dino.py DINOLoss).
struct TeacherTemperature {
  double warmup = 0.04;  ///< in the first epoch
  double value = 0.04;   ///< from the last warm-up epoch on
  int64_t warmup_epochs = 0;

  double at(const StepInfo& info) const;
};

/// The teacher of self-distillation: an exponential moving average (EMA) of the student. Its
/// parameters are frozen, start equal to those of the same name in the student, and follow them.
class EmaTeacher {
 public:
  EmaTeacher() = default;
  EmaTeacher(torch::nn::Module& teacher, const torch::nn::Module& student);

  /// teacher ← momentum · teacher + (1 - momentum) · student, but for what the run froze in the
  /// student since: a file of weights may hold others for the teacher, which are frozen too.
  /// `made`: StepInfo::made.
  void move(double momentum, const at::Tensor& made = {});

 private:
  std::vector<at::Tensor> teacher_, student_;
  std::vector<bool> trained_;  // by the method
};

}  // namespace previt
