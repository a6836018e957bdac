#include "pretrain/objectives/dinov2.h"

#include <torch/utils.h>

#include <string>

#include "models/heads/multi_crop.h"
#include "models/layers/init.h"
#include "models/vit.h"
#include "pretrain/losses/weighted_cross_entropy.h"
#include "pretrain/masked_features.h"
#include "pretrain/masks/mask_stream.h"
#include "pretrain/registry.h"
#include "pretrain/schedule.h"

namespace previt {
namespace {

// ParamRule::network: what is clipped apart.
constexpr int64_t kBackbone = 0, kDinoHead = 1, kIbotHead = 2;

}  // namespace

Dinov2MethodOptions::Dinov2MethodOptions() {
  koleo_weight = 0.1;
  head.norm_last_layer = patch_head.norm_last_layer = false;
  teacher_temp = 0.07;
  warmup_teacher_temp_epochs = 30;
  teacher_momentum = 0.992;
}

void visit(FieldVisitor& v, Dinov2MethodOptions& o) {
  visit(v, static_cast<StudentTeacherOptions&>(o));
  visit(v, static_cast<TargetOptions&>(o));
  v.field("separate_head", o.separate_head, "a head for patches beside that of class tokens");
  v.section("patch_head", o.patch_head);
  v.section("mask", o.mask);
  v.field("cls_weight", o.cls_weight, "weight of the class tokens' loss", at_least(0));
  v.field("patch_weight", o.patch_weight, "weight of the patches' loss", at_least(0));
  v.field("patch_embed_lr",
          o.patch_embed_lr,
          "factor of the patch embedding's rate, besides layer_decay",
          at_least(0));
}

Dinov2Options::Dinov2Options() {
  augment.global_1.scale = augment.global_2.scale = {0.32, 1};
  augment.local.scale = {0.05, 0.32};
  // What the authors' blur does, which takes its probability for that of leaving the crop alone
  // (docs/official_settings.md, "DINOv2").
  augment.global_1.blur = 0;
  augment.global_2.blur = 0.9;
}

void visit(FieldVisitor& v, Dinov2Options& o) {
  v.section("dinov2", o.dinov2);
  v.section("augment", o.augment);
}

void Dinov2Options::set_defaults(RunOptions& run) {
  StudentTeacherOptions::set_defaults(run);
  run.model.arch = "vit_large";
  run.model.drop_path = 0.3;
  run.model.drop_path_mode = DropPathMode::uniform;
  run.model.layer_scale = 1e-5;
  run.optimizer.base_lr = 4e-3;
  run.optimizer.base_batch = 1024;
  run.optimizer.lr_scaling = LrScaling::sqrt;
  run.optimizer.clip_mode = ClipMode::per_network;
  run.optimizer.layer_decay = 0.9;
  run.train.epochs = 100;
  run.train.batch = 1024;
}

// As the authors publish them: the teacher's backbone with its mask token.
void Dinov2Options::lay_out(const NamedTensors& own, LoadedModel& model) const {
  model.format = "dinov2";
  model.extra["mask_token"] = own.at("teacher.mask_token");
}

Dinov2Network::Dinov2Network(const VitOptions& model, const Dinov2MethodOptions& o)
    : StudentTeacherNetwork(model) {
  const auto add_head = [&](const char* name, const DinoHeadOptions& head) {
    return register_module(name, std::make_shared<DinoHead>(model.embed_dim, head));
  };
  dino_head = add_head("dino_head", o.head);
  if (o.separate_head) ibot_head = add_head("ibot_head", o.patch_head);
  mask_token = register_parameter("mask_token", torch::zeros({1, model.embed_dim}));
  const torch::NoGradGuard no_grad;
  if (!WithoutWeights::now()) backbone->cls_token.normal_(0, 1e-6);
}

std::vector<at::Tensor> Dinov2Network::prototypes() const {
  std::vector<at::Tensor> all = {dino_head->weight_v, dino_head->weight_g};
  if (ibot_head) all.insert(all.end(), {ibot_head->weight_v, ibot_head->weight_g});
  return all;
}

void Dinov2Network::freeze_prototypes(bool frozen) {
  held_.clear();
  if (!frozen) return;
  for (const auto& tensor : prototypes()) held_.push_back(tensor.detach().clone());
}

void Dinov2Network::put_back_prototypes() {
  const torch::NoGradGuard no_grad;
  const auto all = prototypes();
  for (size_t i = 0; i < held_.size(); ++i) all[i].copy_(held_[i]);
}

Dinov2Rows Dinov2Network::answer(const at::Tensor& cls, const at::Tensor& patches) {
  if (ibot_head) return {dino_head->forward(cls), ibot_head->forward(patches)};
  const at::Tensor all = dino_head->forward(torch::cat({cls, patches}));
  return {all.narrow(0, 0, cls.size(0)), all.slice(0, cls.size(0))};
}

Dinov2::Dinov2(const Dinov2Options& options, const RunOptions& run)
    : StudentTeacher({.section = "dinov2", .other = " or use dinov2.centering: sinkhorn_knopp"},
                     options.dinov2,
                     options.augment,
                     run),
      options_(options.dinov2),
      seed_(run.train.seed),
      layer_decay_(run.optimizer.layer_decay) {
  require_equal_globals(crops());
  options_.require_whole_batch("dinov2", run.train);
  student_ = add_student<Dinov2Network>(options_);
  teacher_ = add_teacher<Dinov2Network>(options_);
  const DinoHeadOptions& of_patches = options_.separate_head ? options_.patch_head : options_.head;
  center_ = register_buffer("center", torch::zeros({1, options_.head.out_dim}));
  patch_center_ = register_buffer("center2", torch::zeros({1, of_patches.out_dim}));
}

double Dinov2::teacher_temperature(const StepInfo& info) const {
  const CosineTable rising{
      .base = options_.teacher_temp,
      .end = options_.teacher_temp,
      .start = options_.warmup_teacher_temp,
      .warmup_steps = options_.warmup_teacher_temp_epochs * info.steps_per_epoch};
  return rising.at(info.step, info.total_steps);
}

at::Tensor Dinov2::masks_of(const Batch& batch) const {
  Random stream = mask_stream(batch, 0, seed_);
  return spread_masks(options_.global_crops * batch.indices.size(0),
                      mask_rows(),
                      mask_columns(),
                      options_.mask,
                      stream);
}

std::vector<at::Tensor> Dinov2::draw(const Batch& batch) const {
  return {masked_patches(masks_of(batch))};
}

Dinov2Rows Dinov2::teacher_rows(const std::vector<at::Tensor>& views, const PatchMask& mask) {
  const torch::NoGradGuard no_grad;
  const at::Tensor images = torch::cat(global_crops(views));
  const at::Tensor features = cls_and_masked_features(*teacher_->backbone, images, mask, {});
  const at::Tensor cls = features.narrow(0, 0, images.size(0));
  Dinov2Rows rows = teacher_->answer(cls, features.slice(0, images.size(0)));
  rows.features = cls;
  return rows;
}

Dinov2Rows Dinov2::student_rows(const std::vector<at::Tensor>& views, const PatchMask& mask) {
  Vit& vit = *student_->backbone;
  const at::Tensor images = torch::cat(global_crops(views));
  const at::Tensor features = cls_and_masked_features(vit, images, mask, student_->mask_token);
  const at::Tensor cls = features.narrow(0, 0, images.size(0));
  at::Tensor of_crops = cls;
  if (options_.local_crops > 0) {
    const auto first_local = views.begin() + options_.global_crops;
    of_crops = torch::cat({cls, multi_crop_features(vit, {first_local, views.end()})});
  }
  Dinov2Rows rows = student_->answer(of_crops, features.slice(0, images.size(0)));
  rows.features = cls;
  return rows;
}

StepResult Dinov2::step(const Batch& batch, const StepInfo& info) {
  require_all_crops(batch);
  const PatchMask mask(drawn(batch).front(),
                       options_.global_crops * batch.views.front().size(0),
                       mask_rows() * mask_columns());
  begin_step(info);
  const double temperature = teacher_temperature(info);
  const Dinov2Rows taught = teacher_rows(batch.views, mask);
  const at::Tensor answers = options_.targets(taught.cls, center_, temperature);
  const at::Tensor patch_answers = options_.targets(taught.patches, patch_center_, temperature);
  if (options_.centering == Centering::center) {
    cls_mean_.add(taught.cls);
    patch_mean_.add(taught.patches);
  }

  const Dinov2Rows student = student_rows(batch.views, mask);
  const at::Tensor cls =
      cross_view_loss(student.cls, answers, options_.global_crops, options_.student_temp);
  const at::Tensor patch =
      weighted_cross_entropy(student.patches, patch_answers, mask.weights(), options_.student_temp);
  StepResult result{options_.cls_weight * cls + options_.patch_weight * patch,
                    metrics(cls,
                            answers,
                            taught.features,
                            info,
                            {{"cls_loss", cls.detach()},
                             {"patch_loss", patch.detach()},
                             {"center_norm", center_.norm()},
                             {"patch_center_norm", patch_center_.norm()}})};
  if (options_.koleo_weight > 0) {
    const at::Tensor koleo = options_.koleo(student.features, options_.global_crops);
    result.loss = result.loss + koleo;
    result.metrics.emplace_back("koleo", koleo.detach());
  }
  return result;
}

void Dinov2::after_optimizer_step(const StepInfo& info) {
  student_->put_back_prototypes();
  StudentTeacher::after_optimizer_step(info);
}

// dinov2/utils/param_groups.py. Tokens, positions and the prototypes' lengths are decayed.
ParamRules Dinov2::param_rules() const {
  const ParamRules rules = [](const std::string& name, const at::Tensor&) {
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    return ParamRule{.decay = !name.ends_with(".bias") && !has("norm") && !has("gamma")};
  };
  const ParamRules of_layers = with_layer_decay(rules, layer_decay_, model().depth);
  const double patch_embed_lr = options_.patch_embed_lr;
  return [=](const std::string& name, const at::Tensor& parameter) {
    std::string own = name.substr(name.find('.') + 1);  // in the network
    const std::string backbone = "backbone.";
    if (own.starts_with(backbone)) own = own.substr(backbone.size());
    ParamRule rule = of_layers(own, parameter);
    if (own.starts_with("patch_embed.")) rule.lr_scale *= patch_embed_lr;
    rule.network = own.starts_with("dino_head.")   ? kDinoHead
                   : own.starts_with("ibot_head.") ? kIbotHead
                                                   : kBackbone;
    return rule;
  };
}

BatchNeed Dinov2::batch_need() const {
  if (options_.koleo_weight > 0) return {2, "dinov2.koleo_weight"};
  return {};
}

void Dinov2::move_centers() {
  if (cls_mean_.empty()) return;
  center_.lerp_(cls_mean_.mean(), 1 - options_.center_momentum);
  const at::Tensor mean = patch_mean_.mean();
  // Where no patch was masked, there is no mean.
  patch_center_.lerp_(mean.where(mean.isfinite(), patch_center_), 1 - options_.center_momentum);
}

void Dinov2::forget() {
  cls_mean_.reset();
  patch_mean_.reset();
  StudentTeacher::forget();
}

double Dinov2::flops_per_image() const {
  const double head = DinoHead::macs(model().embed_dim, options_.head);
  const double patch_head =
      options_.separate_head ? DinoHead::macs(model().embed_dim, options_.patch_head) : head;
  const double share =
      options_.mask.probability * (options_.mask.ratio.front() + options_.mask.ratio.back()) / 2;
  const double masked = share * static_cast<double>(mask_rows() * mask_columns());
  const double of_globals =
      static_cast<double>(options_.global_crops) *
      (global_macs(static_cast<int64_t>(1 + masked)) + head + masked * patch_head);
  const double of_locals = static_cast<double>(options_.local_crops) * (local_macs() + head);
  return 6 * (of_globals + of_locals) + 2 * of_globals;
}

void register_dinov2(ObjectiveRegistry& registry) { registry.add<Dinov2, Dinov2Options>("dinov2"); }

}  // namespace previt
