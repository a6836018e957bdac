#pragma once

#include <memory>
#include <string>

#include "models/vit.h"
#include "models/weights/load_model.h"
#include "pretrain/run_options.h"

namespace previt {

/// A classifier that a student learns from (DeiT's distillation). It is frozen and in eval mode.
/// It belongs to no module, so no checkpoint of the student holds it. It sees the student's images
/// in its own normalisation and at its own size.
class DistillationTeacher {
 public:
  /// Throws Error that begins with the checkpoint where that has no classifier, does not say how
  /// many heads it has, or differs from the student in its number of classes, its channels or its
  /// aspect ratio.
  DistillationTeacher(const LoadedModel& loaded, const RunOptions& student);

  void to(at::Device device) { vit_->to(device); }
  /// weights_checksum of the network that answers, with its classes in the student's order.
  std::string checksum() const;

  /// images [B, C, H, W] as the student sees them → logits [B, classes], float32, without gradient.
  at::Tensor logits(const at::Tensor& images) const;

 private:
  NormalizeOptions own_, students_;
  std::shared_ptr<Vit> vit_;
};

}  // namespace previt
