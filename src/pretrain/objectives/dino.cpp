#include "pretrain/objectives/dino.h"

#include "error.h"
#include "models/heads/multi_crop.h"
#include "models/vit.h"
#include "models/vit_macs.h"
#include "pretrain/collapse.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/losses/sinkhorn.h"
#include "pretrain/pictures/attention_picture.h"
#include "pretrain/registry.h"
#include "pretrain/train/schedule.h"

namespace previt {
namespace {

void check(const DinoMethodOptions& o, const VitOptions& model, const TrainOptions& train) {
  if (o.global_crops + o.local_crops < 2) {
    fail_usage("dino.local_crops: two crops or more are needed to compare them");
  }
  if (model.pool != Pooling::cls || !model.cls_token) {
    fail_usage("model.pool: dino compares class tokens; use pool: cls with cls_token: true");
  }
  check_head("dino", o.head, train);
  if (train.micro() == train.batch) return;
  // What compares the images of a whole batch can't be done a part at a time.
  if (o.centering == Centering::sinkhorn_knopp) {
    fail_usage(
        "dino.centering: sinkhorn_knopp needs the whole batch at once; set train.micro_batch: 0, "
        "or centering: center, which accumulates");
  }
  if (o.koleo_weight > 0) {
    fail_usage("dino.koleo_weight: needs the whole batch at once; set train.micro_batch: 0");
  }
}

}  // namespace

void visit(FieldVisitor& v, DinoMethodOptions& o) {
  v.field("global_crops", o.global_crops, "large crops; the teacher sees only these", at_least(1));
  v.field("local_crops", o.local_crops, "small crops", at_least(0));
  v.section("head", o.head);
  v.field("freeze_last_layer",
          o.freeze_last_layer,
          "epochs without gradients for the prototypes",
          at_least(0));
  v.field("student_temp", o.student_temp, "temperature of the student's softmax", above(0));
  v.field("teacher_temp",
          o.teacher_temp,
          "temperature of the teacher's softmax, after its warm-up",
          above(0));
  v.field("warmup_teacher_temp",
          o.warmup_teacher_temp,
          "the teacher's temperature in the first epoch",
          above(0));
  v.field("warmup_teacher_temp_epochs",
          o.warmup_teacher_temp_epochs,
          "until teacher_temp is reached",
          at_least(0));
  v.field("teacher_momentum", o.teacher_momentum, "of the moving average, at first", between(0, 1));
  v.field("teacher_momentum_end",
          o.teacher_momentum_end,
          "at the end, reached by a cosine",
          between(0, 1));
  v.field("centering", o.centering, "of the teacher's targets");
  v.field("center_momentum", o.center_momentum, "of the center's moving average", between(0, 1));
  v.field("sinkhorn_iterations", o.sinkhorn_iterations, "of Sinkhorn-Knopp", at_least(1));
  v.field(
      "koleo_weight", o.koleo_weight, "KoLeo regulariser of each global crop; 0: off", at_least(0));
}

void visit(FieldVisitor& v, DinoOptions& o) {
  v.section("dino", o.dino);
  v.section("augment", o.augment);
}

void DinoOptions::set_defaults(RunOptions& run) {
  run.model.arch = "vit_small";
  run.model.pos_resize = ResizeConvention::dino;
  run.model.drop_path = 0.1;
  run.optimizer.base_lr = 5e-4;
  run.optimizer.betas = {0.9, 0.999};
  run.optimizer.weight_decay = 0.04;
  run.optimizer.weight_decay_end = 0.4;
  run.optimizer.clip_grad = 3;
  run.optimizer.clip_mode = ClipMode::per_parameter;
  run.schedule.kind = ScheduleKind::table;
  run.schedule.warmup_epochs = 10;
  run.schedule.min_lr = 1e-6;
  run.train.epochs = 100;
  run.train.batch = 512;
}

DinoNetwork::DinoNetwork(const VitOptions& model, const DinoHeadOptions& head_options) {
  backbone = register_module("backbone", std::make_shared<Vit>(model));
  head = register_module("head", std::make_shared<DinoHead>(model.embed_dim, head_options));
}

Dino::Dino(const DinoOptions& options, const RunOptions& run)
    : options_(options.dino),
      model_(resolve(run.model)),
      augment_(resolve(options.augment, options_.global_crops, options_.local_crops, model_)),
      warmup_epochs_(run.schedule.warmup_epochs),
      collapse_(run.output.log_steps) {
  check(options_, model_, run.train);
  student_ = register_module("student", std::make_shared<DinoNetwork>(model_, options_.head));
  teacher_ = register_module(
      "teacher", std::make_shared<DinoNetwork>(without_drop_path(model_), options_.head));
  center_ = register_buffer("center", torch::zeros({1, options_.head.out_dim}));
  average_ = TeacherAverage(*teacher_, *student_);
}

std::vector<ViewSpec> Dino::views() const { return augment_.views(); }

double Dino::teacher_temperature(const StepInfo& info) const {
  const TeacherTemperature temperature{.warmup = options_.warmup_teacher_temp,
                                       .value = options_.teacher_temp,
                                       .warmup_epochs = options_.warmup_teacher_temp_epochs};
  return temperature.at(info);
}

double Dino::teacher_momentum(const StepInfo& info) const {
  const CosineTable table{.base = options_.teacher_momentum, .end = options_.teacher_momentum_end};
  return table.at(info.step, info.total_steps);
}

at::Tensor Dino::targets(const at::Tensor& teacher_logits, double temperature) const {
  return options_.centering == Centering::center
             ? centered_softmax(teacher_logits, center_, temperature)
             : sinkhorn_knopp(teacher_logits, temperature, options_.sinkhorn_iterations);
}

at::Tensor Dino::koleo(const at::Tensor& features) const {
  at::Tensor sum;
  for (const auto& crop : features.chunk(options_.global_crops)) {
    sum = sum.defined() ? sum + koleo_loss(crop) : koleo_loss(crop);
  }
  return options_.koleo_weight * sum;
}

StepResult Dino::step(const Batch& batch, const StepInfo& info) {
  require_crops(batch, options_.global_crops + options_.local_crops, "dino");
  if (info.micro_step == 0) forget();
  student_->head->freeze_prototypes(info.whole_epoch() < options_.freeze_last_layer);
  const int64_t teacher_rows = options_.global_crops * batch.views.front().size(0);
  at::Tensor teacher_features, answers;
  {
    const torch::NoGradGuard no_grad;
    const auto end = batch.views.begin() + options_.global_crops;
    teacher_features = multi_crop_features(*teacher_->backbone, {batch.views.begin(), end});
    const at::Tensor logits = teacher_->head->forward(teacher_features);
    answers = targets(logits, teacher_temperature(info));
    if (options_.centering == Centering::center) logit_mean_.add(logits);
  }
  const at::Tensor features = multi_crop_features(*student_->backbone, batch.views);
  const at::Tensor logits = student_->head->forward(features);
  const at::Tensor loss =
      cross_view_loss(logits, answers, options_.global_crops, options_.student_temp);
  StepResult result{loss, collapse_.add(loss, answers, teacher_features, info)};
  result.metrics.insert(result.metrics.end(),
                        {{"center_norm", center_.norm()},
                         {"teacher_temp", torch::tensor(teacher_temperature(info))},
                         {"teacher_momentum", torch::tensor(teacher_momentum(info))}});
  if (options_.koleo_weight > 0) {
    const at::Tensor spread = koleo(features.narrow(0, 0, teacher_rows));
    result.loss = loss + spread;
    result.metrics.emplace_back("koleo", spread.detach());
  }
  return result;
}

BatchNeed Dino::batch_need() const {
  if (options_.koleo_weight > 0) return {2, "dino.koleo_weight"};
  if (options_.global_crops > 1) return {};  // two rows of the teacher's from one image
  if (options_.head.use_bn) return {2, "dino.head.use_bn"};
  if (options_.centering == Centering::sinkhorn_knopp) return {2, "dino.centering"};
  return {};
}

void Dino::after_optimizer_step(const StepInfo& info) {
  const torch::NoGradGuard no_grad;
  average_.move(teacher_momentum(info));
  if (!logit_mean_.empty()) center_.lerp_(logit_mean_.mean(), 1 - options_.center_momentum);
  forget();
}

void Dino::forget() {
  logit_mean_.reset();
  collapse_.reset();
}

double Dino::flops_per_image() const {
  const double head = DinoHead::macs(model_.embed_dim, options_.head);
  double of_teacher = 0, of_student = 0;
  for (const auto& view : views()) {
    const double macs =
        static_cast<double>(view.count) * (pooled_macs(model_, view.height, view.width) + head);
    of_student += macs;
    if (view.name != augment_.local.name) of_teacher += macs;
  }
  return 6 * of_student + 2 * of_teacher;
}

std::vector<Picture> Dino::previews(const Batch& batch, const NormalizeOptions& normalize) {
  return {attention_picture(*teacher_->backbone, batch.views.at(0), normalize)};
}

std::string Dino::diagnose(const std::map<std::string, double>& means, const StepInfo& info) const {
  const double warmup = std::min(warmup_epochs_, 0.1 * static_cast<double>(info.epochs));
  if (info.epoch() < warmup) return "";
  return describe_collapse(means,
                           options_.head.out_dim,
                           {.section = "dino", .other = " or use dino.centering: sinkhorn_knopp"});
}

void register_dino(ObjectiveRegistry& registry) { registry.add<Dino, DinoOptions>("dino"); }

}  // namespace previt
