#include "pretrain/teacher_targets.h"

#include "error.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/losses/sinkhorn.h"

namespace previt {

void visit(FieldVisitor& v, TargetOptions& o) {
  v.field("centering", o.centering, "of the teacher's targets, over the images of all processes");
  v.field("sinkhorn_iterations", o.sinkhorn_iterations, "of Sinkhorn-Knopp", at_least(1));
  v.field("koleo_weight",
          o.koleo_weight,
          "KoLeo regulariser of each global crop, among a process's images; 0: off",
          at_least(0));
}

at::Tensor TargetOptions::targets(const at::Tensor& logits,
                                  const at::Tensor& center,
                                  double temperature) const {
  return centering == Centering::center ? centered_softmax(logits, center, temperature)
                                        : sinkhorn_knopp(logits, temperature, sinkhorn_iterations);
}

at::Tensor TargetOptions::koleo(const at::Tensor& features, int64_t crops) const {
  at::Tensor sum;
  for (const auto& crop : features.chunk(crops)) {
    sum = sum.defined() ? sum + koleo_loss(crop) : koleo_loss(crop);
  }
  return koleo_weight * sum;
}

void TargetOptions::require_whole_batch(const std::string& section,
                                        const TrainOptions& train) const {
  if (centering != Centering::sinkhorn_knopp || !train.accumulates()) return;
  fail_usage(
      "{}.centering: sinkhorn_knopp needs the whole batch at once; set train.micro_batch: 0, or "
      "centering: center, which accumulates",
      section);
}

}  // namespace previt
