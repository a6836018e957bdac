#include "pretrain/objectives/dino.h"

#include <ATen/ops/_foreach_lerp.h>

#include "error.h"
#include "models/multi_crop.h"
#include "models/vit.h"
#include "models/vit_products.h"
#include "models/weights.h"
#include "pretrain/attention_picture.h"
#include "pretrain/collapse.h"
#include "pretrain/losses/feature_statistics.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/losses/sinkhorn.h"
#include "pretrain/registry.h"
#include "pretrain/train/schedule.h"

namespace previt {
namespace {

constexpr double kLocalShare = 3.0 / 7;  // 96 of 224

VitOptions without_drop_path(VitOptions model) {
  model.drop_path = 0;
  return model;
}

void fill_size(ViewSpec& view, const VitOptions& model, double share) {
  const auto size = [&](int64_t whole) {
    const double patches = share * static_cast<double>(whole / model.patch_size);
    return std::max<int64_t>(std::llround(patches), 1) * model.patch_size;
  };
  if (view.height == 0) view.height = size(model.image_height());
  if (view.width == 0) view.width = size(model.image_width());
  if (view.height % model.patch_size != 0 || view.width % model.patch_size != 0) {
    fail_usage("augment.{}: {} x {} is not a whole number of patches of {}",
               view.name,
               view.height,
               view.width,
               model.patch_size);
  }
}

DinoAugmentOptions resolved(DinoAugmentOptions augment,
                            const DinoMethodOptions& method,
                            const VitOptions& model) {
  augment.global_2.count = method.global_crops - 1;
  augment.local.count = method.local_crops;
  fill_size(augment.global_1, model, 1);
  fill_size(augment.global_2, model, 1);
  fill_size(augment.local, model, kLocalShare);
  return augment;
}

void check(const DinoMethodOptions& o, const VitOptions& model, const TrainOptions& train) {
  if (o.global_crops + o.local_crops < 2) {
    fail_usage("dino.local_crops: two crops or more are needed to compare them");
  }
  if (model.pool != "cls" || !model.cls_token) {
    fail_usage("model.pool: dino compares class tokens; use pool: cls with cls_token: true");
  }
  if (train.micro() == train.batch) return;
  // What compares the images of a whole batch can't be done a part at a time.
  if (o.centering == "sinkhorn_knopp") {
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
  v.field("freeze_last_layer", o.freeze_last_layer, "epochs without gradients for the prototypes",
          at_least(0));
  v.field("student_temp", o.student_temp, "", above(0));
  v.field("teacher_temp", o.teacher_temp, "after its warm-up", above(0));
  v.field("warmup_teacher_temp", o.warmup_teacher_temp, "in the first epoch", above(0));
  v.field("warmup_teacher_temp_epochs", o.warmup_teacher_temp_epochs, "", at_least(0));
  v.field("teacher_momentum", o.teacher_momentum, "of the moving average, at first", between(0, 1));
  v.field("teacher_momentum_end", o.teacher_momentum_end, "reached by a cosine", between(0, 1));
  v.field("centering", o.centering, "of the teacher's targets", {"center", "sinkhorn_knopp"});
  v.field("center_momentum", o.center_momentum, "of the center's moving average", between(0, 1));
  v.field("sinkhorn_iterations", o.sinkhorn_iterations, "", at_least(1));
  v.field("koleo_weight", o.koleo_weight, "KoLeo regulariser of each global crop; 0: off",
          at_least(0));
}

DinoAugmentOptions::DinoAugmentOptions() {
  global_1 = {.name = "global_1", .height = 0, .width = 0, .scale = {0.4, 1}};
  global_1.jitter = 0.8;
  global_1.greyscale = 0.2;
  global_2 = local = global_1;
  global_1.blur = 1;
  global_2.name = "global_2";
  global_2.blur = 0.1;
  global_2.solarize = 0.2;
  local.name = "local";
  local.scale = {0.05, 0.4};
  local.blur = 0.5;
}

void visit(FieldVisitor& v, DinoAugmentOptions& o) {
  v.section("global_1", o.global_1);
  v.section("global_2", o.global_2);
  v.section("local", o.local);
}

void visit(FieldVisitor& v, DinoOptions& o) {
  v.section("dino", o.dino);
  v.section("augment", o.augment);
}

void DinoOptions::set_defaults(RunOptions& run) {
  run.model.arch = "vit_small";
  run.model.pos_resize = "dino";
  run.model.drop_path = 0.1;
  run.optimizer.base_lr = 5e-4;
  run.optimizer.betas = {0.9, 0.999};
  run.optimizer.weight_decay = 0.04;
  run.optimizer.weight_decay_end = 0.4;
  run.optimizer.clip_grad = 3;
  run.optimizer.clip_mode = "per_parameter";
  run.schedule.kind = "table";
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
      augment_(resolved(options.augment, options_, model_)),
      warmup_epochs_(run.schedule.warmup_epochs),
      log_steps_(run.output.log_steps) {
  check(options_, model_, run.train);
  student_ = register_module("student", std::make_shared<DinoNetwork>(model_, options_.head));
  teacher_ = register_module(
      "teacher", std::make_shared<DinoNetwork>(without_drop_path(model_), options_.head));
  center_ = register_buffer("center", torch::zeros({1, options_.head.out_dim}));
  load_into(*teacher_, named_tensors(*student_));
  student_parameters_ = student_->parameters();
  teacher_parameters_ = teacher_->parameters();
  for (auto& parameter : teacher_parameters_) parameter.set_requires_grad(false);
}

std::vector<ViewSpec> Dino::views() const {
  std::vector<ViewSpec> all = {augment_.global_1, augment_.global_2, augment_.local};
  std::erase_if(all, [](const ViewSpec& view) { return view.count == 0; });
  return all;
}

void Dino::check_views(const Batch& batch) const {
  const auto wanted = static_cast<size_t>(options_.global_crops + options_.local_crops);
  require(batch.views.size() == wanted,
          "dino: takes {} crops of each image, not {}",
          wanted,
          batch.views.size());
}

double Dino::teacher_temperature(const StepInfo& info) const {
  const int64_t epoch = info.whole_epoch(), warmup = options_.warmup_teacher_temp_epochs;
  if (epoch >= warmup) return options_.teacher_temp;
  const auto gaps = static_cast<double>(std::max<int64_t>(warmup - 1, 1));
  return options_.warmup_teacher_temp + static_cast<double>(epoch) / gaps *
                                            (options_.teacher_temp - options_.warmup_teacher_temp);
}

double Dino::teacher_momentum(const StepInfo& info) const {
  const CosineTable table{.base = options_.teacher_momentum, .end = options_.teacher_momentum_end};
  return table.at(info.step, info.total_steps);
}

at::Tensor Dino::targets(const at::Tensor& teacher_logits, double temperature) const {
  return options_.centering == "center"
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
  check_views(batch);
  if (info.micro_step == 0) logit_mean_.reset();
  const int64_t teacher_rows = options_.global_crops * batch.views.front().size(0);
  at::Tensor teacher_features, answers;
  {
    const torch::NoGradGuard no_grad;
    const auto end = batch.views.begin() + options_.global_crops;
    teacher_features = multi_crop_features(*teacher_->backbone, {batch.views.begin(), end});
    const at::Tensor logits = teacher_->head->forward(teacher_features);
    answers = targets(logits, teacher_temperature(info));
    if (options_.centering == "center") logit_mean_.add(logits);
  }
  const at::Tensor features = multi_crop_features(*student_->backbone, batch.views);
  const at::Tensor logits = student_->head->forward(features);
  const at::Tensor loss =
      cross_view_loss(logits, answers, options_.global_crops, options_.student_temp);
  StepResult result{loss, metrics(loss, answers, teacher_features, info)};
  if (options_.koleo_weight > 0) {
    const at::Tensor spread = koleo(features.narrow(0, 0, teacher_rows));
    result.loss = loss + spread;
    result.metrics.emplace_back("koleo", spread.detach());
  }
  return result;
}

Metrics Dino::metrics(const at::Tensor& loss,
                      const at::Tensor& targets,
                      const at::Tensor& teacher_features,
                      const StepInfo& info) const {
  const torch::NoGradGuard no_grad;
  const TargetStatistics statistics = target_statistics(targets);
  Metrics metrics = {{"teacher_entropy", statistics.entropy},
                     // a cross-entropy is the targets' entropy and the divergence from them
                     {"student_kl", loss.detach() - statistics.entropy},
                     {"top_prototype", statistics.top_share},
                     {"feature_spread", feature_spread(teacher_features)},
                     {"center_norm", center_.norm()},
                     {"teacher_temp", torch::tensor(teacher_temperature(info))},
                     {"teacher_momentum", torch::tensor(teacher_momentum(info))}};
  if (info.step % log_steps_ == 0 && info.micro_step == 0) {
    metrics.emplace_back("feature_rank", torch::tensor(effective_rank(teacher_features)));
  }
  return metrics;
}

// The official loop removes these gradients rather than zeroing them, so that the optimizer neither
// decays the prototypes nor counts the step.
void Dino::before_optimizer_step(const StepInfo& info) {
  if (info.whole_epoch() >= options_.freeze_last_layer) return;
  student_->head->weight_v.mutable_grad().reset();
  student_->head->weight_g.mutable_grad().reset();
}

void Dino::after_optimizer_step(const StepInfo& info) {
  const torch::NoGradGuard no_grad;
  at::_foreach_lerp_(teacher_parameters_, student_parameters_, 1 - teacher_momentum(info));
  if (logit_mean_.empty()) return;
  center_.lerp_(logit_mean_.mean(), 1 - options_.center_momentum);
  logit_mean_.reset();
}

double Dino::flops_per_image() const {
  const auto head = [this] {
    const DinoHeadOptions& h = options_.head;
    const int64_t first = h.layers == 1 ? h.bottleneck_dim : h.hidden_dim;
    int64_t products = model_.embed_dim * first + h.bottleneck_dim * h.out_dim;
    if (h.layers > 1) {
      products += h.hidden_dim * (h.hidden_dim * (h.layers - 2) + h.bottleneck_dim);
    }
    return static_cast<double>(products);
  }();
  double of_teacher = 0, of_student = 0;
  for (const auto& view : views()) {
    const double products = static_cast<double>(view.count) *
                            (pooled_products(model_, view.height, view.width) + head);
    of_student += products;
    if (view.name != augment_.local.name) of_teacher += products;
  }
  return 6 * of_student + 2 * of_teacher;
}

std::vector<Picture> Dino::previews(const Batch& batch, const NormalizeOptions& normalize) {
  return {attention_picture(*teacher_->backbone, batch.views.at(0), normalize)};
}

std::string Dino::diagnose(const std::map<std::string, double>& means, const StepInfo& info) const {
  const double warmup = std::min(warmup_epochs_, 0.1 * static_cast<double>(info.epochs));
  return info.epoch() < warmup ? "" : describe_collapse(means, options_.head.out_dim);
}

void register_dino(ObjectiveRegistry& registry) { registry.add<Dino, DinoOptions>("dino"); }

}  // namespace previt
