#include "finetune/distillation.h"

#include <utility>

#include "finetune/losses.h"

namespace previt {

void visit(FieldVisitor& v, DistillationOptions& o) {
  v.field("kind", o.kind, "what of the teacher is learned");
  v.field("teacher", o.teacher, "checkpoint with a classifier of the same classes");
  v.field("alpha", o.alpha, "the teacher's share of the loss", between(0, 1));
  v.field("temperature", o.temperature, "soft: divides the logits of both", above(0));
}

Distillation::Distillation(const DistillationOptions& options, DistillationTeacher teacher)
    : alpha_(options.alpha), teacher_(std::move(teacher)) {
  compare_ = hard_distillation_loss;
  if (options.kind == DistillationKind::soft) {
    compare_ = [temperature = options.temperature](const at::Tensor& student,
                                                   const at::Tensor& answers) {
      return soft_distillation_loss(student, answers, temperature);
    };
  }
}

at::Tensor Distillation::distance(const at::Tensor& logits, const at::Tensor& images) const {
  return compare_(logits, teacher_.logits(images));
}

at::Tensor Distillation::loss(const at::Tensor& base, const at::Tensor& distance) const {
  return (1 - alpha_) * base + alpha_ * distance;
}

}  // namespace previt
