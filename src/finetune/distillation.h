#pragma once

#include <array>
#include <functional>
#include <string>

#include "finetune/distillation_teacher.h"
#include "options.h"

namespace previt {

/// What the student learns from the teacher: nothing, its best class, or its probabilities.
enum class DistillationKind { none, hard, soft };
constexpr auto enum_names(DistillationKind) { return std::array{"none", "hard", "soft"}; }

/// The `distillation:` section. Defaults are DeiT's (deit:main.py).
struct DistillationOptions {
  DistillationKind kind = DistillationKind::none;
  std::string teacher;     ///< checkpoint with a classifier of the same classes
  double alpha = 0.5;      ///< the teacher's share of the loss
  double temperature = 1;  ///< soft: divides the logits of both
  bool on() const { return kind != DistillationKind::none; }
};
void visit(FieldVisitor& v, DistillationOptions& o);

/// How a student's distillation head learns from a teacher (arXiv:2012.12877, deit:losses.py). The
/// teacher sees the same images as the student, mixed ones too.
class Distillation {
 public:
  /// options.kind is hard or soft.
  Distillation(const DistillationOptions& options, DistillationTeacher teacher);

  /// The loss of the distillation head: its `logits` [B, C] against the teacher's for `images`; a
  /// scalar.
  at::Tensor distance(const at::Tensor& logits, const at::Tensor& images) const;

  /// (1 - alpha) · base + alpha · distance.
  at::Tensor loss(const at::Tensor& base, const at::Tensor& distance) const;

  /// DistillationTeacher::checksum.
  std::string teacher_checksum() const { return teacher_.checksum(); }

 private:
  double alpha_;
  DistillationTeacher teacher_;
  std::function<at::Tensor(const at::Tensor& student, const at::Tensor& teacher)> compare_;
};

}  // namespace previt
