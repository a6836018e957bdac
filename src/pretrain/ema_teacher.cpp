#include "pretrain/ema_teacher.h"

#include <torch/utils.h>

#include <algorithm>

#include "models/kernels/weight_arena.h"
#include "models/weights/weights.h"

namespace previt {

double TeacherTemperature::at(const StepInfo& info) const {
  const int64_t epoch = info.whole_epoch();
  if (epoch >= warmup_epochs) return value;
  // As numpy's linspace, which includes both ends.
  const auto gaps = static_cast<double>(std::max<int64_t>(warmup_epochs - 1, 1));
  return warmup + static_cast<double>(epoch) / gaps * (value - warmup);
}

EmaTeacher::EmaTeacher(torch::nn::Module& teacher, const torch::nn::Module& student) {
  load_into(teacher, named_tensors(student));
  const auto of_student = student.named_parameters();
  for (auto& parameter : teacher.named_parameters()) {
    parameter.value().set_requires_grad(false);
    const at::Tensor* same = of_student.find(parameter.key());
    if (same == nullptr) continue;
    teacher_.push_back(parameter.value());
    student_.push_back(*same);
    trained_.push_back(same->requires_grad());
  }
}

void EmaTeacher::move(double momentum, const at::Tensor& made) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> moved, followed;
  for (size_t i = 0; i < student_.size(); ++i) {
    if (trained_[i] && !student_[i].requires_grad()) continue;
    moved.push_back(teacher_[i]);
    followed.push_back(student_[i]);
  }
  if (made.defined()) {
    lerp_all(moved, followed, made * (1 - momentum));
  } else {
    lerp_all(moved, followed, 1 - momentum);
  }
}

}  // namespace previt
