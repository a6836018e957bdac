#include "finetune/distillation_teacher.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "error.h"
#include "finetune/model.h"
#include "models/weights/weights.h"

namespace previt {
namespace {

void require_suitable(const LoadedModel& loaded, const VitOptions& student) {
  const VitOptions& o = loaded.options;
  const std::string& place = loaded.source;
  require(o.num_classes > 0, "{}: has no classes to teach; fine-tune it first", place);
  require(o.num_classes == student.num_classes,
          "{}: classifies {} classes, but the data has {}",
          place,
          o.num_classes,
          student.num_classes);
  require(o.num_heads > 0, "{}: does not say how many attention heads it has", place);
  require(o.in_channels == student.in_channels,
          "{}: sees {} channels, the student {}",
          place,
          o.in_channels,
          student.in_channels);
  require(o.image_height() * student.image_width() == o.image_width() * student.image_height(),
          "{}: its images are {} x {}, of another shape than the student's {} x {}",
          place,
          o.image_height(),
          o.image_width(),
          student.image_height(),
          student.image_width());
}

bool same(const NormalizeOptions& a, const NormalizeOptions& b) {
  return a.mean == b.mean && a.std == b.std;
}

}  // namespace

DistillationTeacher::DistillationTeacher(const LoadedModel& loaded, const RunOptions& student)
    : own_(loaded.normalize), students_(student.normalize) {
  require_suitable(loaded, student.model);
  vit_ = vit_from_checkpoint(loaded, loaded.options, {.keep = true});
  vit_->eval();
}

std::string DistillationTeacher::checksum() const { return weights_checksum(*vit_); }

at::Tensor DistillationTeacher::logits(const at::Tensor& images) const {
  const torch::NoGradGuard no_grad;
  at::Tensor seen = images;
  if (!same(own_, students_)) {
    seen = normalize(denormalize(seen, students_), own_, seen.device());
  }
  const std::vector<int64_t> size = {vit_->options().image_height(), vit_->options().image_width()};
  if (seen.size(2) != size[0] || seen.size(3) != size[1]) {
    seen = torch::_upsample_bicubic2d_aa(seen, size, false, std::nullopt, std::nullopt);
  }
  return vit_->forward(seen);
}

}  // namespace previt
