#include "pretrain/objectives/dino.h"

#include "error.h"
#include "models/heads/multi_crop.h"
#include "models/vit.h"
#include "models/vit_macs.h"
#include "pretrain/registry.h"

namespace previt {

void visit(FieldVisitor& v, DinoMethodOptions& o) {
  visit(v, static_cast<StudentTeacherOptions&>(o));
  visit(v, static_cast<TargetOptions&>(o));
}

void visit(FieldVisitor& v, DinoOptions& o) {
  v.section("dino", o.dino);
  v.section("augment", o.augment);
}

void DinoOptions::set_defaults(RunOptions& run) {
  StudentTeacherOptions::set_defaults(run);
  run.train.epochs = 100;
  run.train.batch = 512;
}

void DinoOptions::lay_out(const NamedTensors& own, LoadedModel& model) const {
  lay_out_pair(own, "dino_loss", model);
}

DinoNetwork::DinoNetwork(const VitOptions& model, const DinoHeadOptions& head_options)
    : StudentTeacherNetwork(model) {
  head = register_module("head", std::make_shared<DinoHead>(model.embed_dim, head_options));
}

Dino::Dino(const DinoOptions& options, const RunOptions& run)
    : StudentTeacher({.section = "dino", .other = " or use dino.centering: sinkhorn_knopp"},
                     options.dino,
                     options.augment,
                     run),
      options_(options.dino) {
  options_.require_whole_batch("dino", run.train);
  if (options_.koleo_weight > 0 && run.train.accumulates()) {
    fail_usage("dino.koleo_weight: needs the whole batch at once; set train.micro_batch: 0");
  }
  student_ = add_student<DinoNetwork>(options_.head);
  teacher_ = add_teacher<DinoNetwork>(options_.head);
  center_ = register_buffer("center", torch::zeros({1, options_.head.out_dim}));
}

StepResult Dino::step(const Batch& batch, const StepInfo& info) {
  require_all_crops(batch);
  begin_step(info);
  at::Tensor teacher_features, answers;
  {
    const torch::NoGradGuard no_grad;
    teacher_features = multi_crop_features(*teacher_->backbone, global_crops(batch.views));
    const at::Tensor logits = teacher_->head->forward(teacher_features);
    answers = options_.targets(logits, center_, teacher_temperature(info));
    if (options_.centering == Centering::center) logit_mean_.add(logits);
  }
  const at::Tensor features = multi_crop_features(*student_->backbone, batch.views);
  const at::Tensor logits = student_->head->forward(features);
  const at::Tensor loss =
      cross_view_loss(logits, answers, options_.global_crops, options_.student_temp);
  StepResult result{
      loss, metrics(loss, answers, teacher_features, info, {{"center_norm", center_.norm()}})};
  if (options_.koleo_weight > 0) {
    // The student's global crops come first, as many rows as the teacher has.
    const at::Tensor spread =
        options_.koleo(features.narrow(0, 0, teacher_features.size(0)), options_.global_crops);
    result.loss = loss + spread;
    result.metrics.emplace_back("koleo", spread.detach());
  }
  return result;
}

BatchNeed Dino::batch_need() const {
  if (options_.koleo_weight > 0) return {2, "dino.koleo_weight"};
  if (options_.global_crops > 1) return {};  // one image gives the teacher two rows
  if (options_.head.use_bn) return {2, "dino.head.use_bn"};
  if (options_.centering == Centering::sinkhorn_knopp) return {2, "dino.centering"};
  return {};
}

void Dino::move_centers() {
  if (!logit_mean_.empty()) center_.lerp_(logit_mean_.mean(), 1 - options_.center_momentum);
}

void Dino::forget() {
  logit_mean_.reset();
  StudentTeacher::forget();
}

double Dino::flops_per_image() const {
  const double head = DinoHead::macs(model().embed_dim, options_.head);
  double of_teacher = 0, of_student = 0;
  int64_t crops_before = 0;
  for (const auto& view : views()) {
    const double macs =
        static_cast<double>(view.count) * (pooled_macs(model(), view.height, view.width) + head);
    of_student += macs;
    if (crops_before < options_.global_crops) of_teacher += macs;
    crops_before += view.count;
  }
  // Per multiply-add, two FLOPs forward and four backward, which the teacher doesn't have.
  return 6 * of_student + 2 * of_teacher;
}

void register_dino(ObjectiveRegistry& registry) { registry.add<Dino, DinoOptions>("dino"); }

}  // namespace previt
