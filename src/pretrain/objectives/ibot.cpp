#include "pretrain/objectives/ibot.h"

#include "error.h"
#include "models/heads/multi_crop.h"
#include "models/vit.h"
#include "pretrain/losses/weighted_cross_entropy.h"
#include "pretrain/masked_features.h"
#include "pretrain/masks/mask_stream.h"
#include "pretrain/registry.h"

namespace previt {
namespace {

void check(const IbotMethodOptions& o) {
  if (o.mask.ratio.empty() || o.mask.ratio.size() != o.mask.spread.size()) {
    fail_usage("ibot.mask.spread: {} numbers for {} of ibot.mask.ratio",
               o.mask.spread.size(),
               o.mask.ratio.size());
  }
  if (o.shared_head && !o.shared_head_teacher) {
    fail_usage(
        "ibot.shared_head_teacher: the student has no last layer for patches to follow; "
        "use true, or shared_head: false");
  }
  const bool teacher_alone = o.shared_head_teacher && !o.shared_head;
  if (teacher_alone && o.patch_out_dim != o.head.out_dim) {
    fail_usage(
        "ibot.patch_out_dim: {} must be ibot.head.out_dim {} where only the teacher's is shared",
        o.patch_out_dim,
        o.head.out_dim);
  }
}

// The last layer (weights v, norms g) on the mean of its input: as it is linear, the mean of its
// output.
at::Tensor prototypes_of(const at::Tensor& row, const at::Tensor& v, const at::Tensor& g) {
  return row.matmul((v * (g / v.norm(2, 1, /*keepdim=*/true))).t());
}

}  // namespace

IbotMethodOptions::IbotMethodOptions() {
  local_crops = 0;
  head.out_dim = 8192;
  teacher_temp = 0.07;
  warmup_teacher_temp_epochs = 30;
}

void visit(FieldVisitor& v, IbotMethodOptions& o) {
  visit(v, static_cast<StudentTeacherOptions&>(o));
  v.field("patch_out_dim", o.patch_out_dim, "prototypes for patches, unless shared", at_least(2));
  v.field("shared_head", o.shared_head, "one last layer for class tokens and patches");
  v.field("shared_head_teacher", o.shared_head_teacher, "the same, of the teacher");
  v.section("mask", o.mask);
  v.field("mask_start_epoch", o.mask_start_epoch, "no crop is masked before", at_least(0));
  v.field("patch_teacher_temp",
          o.patch_teacher_temp,
          "the teacher's temperature for patches",
          above(0));
  v.field("warmup_patch_teacher_temp", o.warmup_patch_teacher_temp, "until masks begin", above(0));
  v.field(
      "patch_center_momentum", o.patch_center_momentum, "of the patches' center", between(0, 1));
  v.field("cls_weight", o.cls_weight, "weight of the class tokens' loss", at_least(0));
  v.field("patch_weight", o.patch_weight, "weight of the patches' loss", at_least(0));
}

IbotOptions::IbotOptions() {
  augment.global_1.scale = augment.global_2.scale = {0.14, 1};
  augment.local.scale = {0.05, 0.4};
}

void visit(FieldVisitor& v, IbotOptions& o) {
  v.section("ibot", o.ibot);
  v.section("augment", o.augment);
}

void IbotOptions::set_defaults(RunOptions& run) {
  StudentTeacherOptions::set_defaults(run);
  run.train.epochs = 800;
  run.train.batch = 1024;
}

// The authors' shared head has one last layer under two names.
void IbotOptions::lay_out(const NamedTensors& own, LoadedModel& model) const {
  NamedTensors all = own;
  const std::string last = ".head.last_layer.";
  for (const auto& [name, tensor] : own) {
    const size_t at = name.find(last);
    if (at == std::string::npos) continue;
    all.emplace(name.substr(0, at) + ".head.last_layer2." + name.substr(at + last.size()), tensor);
  }
  lay_out_pair(all, "ibot_loss", model);
}

IbotNetwork::IbotNetwork(const VitOptions& model, const IbotMethodOptions& o, bool student)
    : StudentTeacherNetwork(model) {
  const bool shared = student ? o.shared_head : o.shared_head_teacher;
  head = register_module(
      "head", std::make_shared<IbotHead>(model.embed_dim, o.head, o.patch_out_dim, shared));
  if (!student) return;
  masked_embed = register_parameter("masked_embed", torch::zeros({1, model.embed_dim}));
}

Ibot::Ibot(const IbotOptions& options, const RunOptions& run)
    : StudentTeacher({.section = "ibot"}, options.ibot, options.augment, run),
      options_(options.ibot),
      seed_(run.train.seed) {
  require_equal_globals(crops());
  check(options_);
  student_ = add_student<IbotNetwork>(options_, true);
  teacher_ = add_teacher<IbotNetwork>(options_, false);
  center_ = register_buffer("center", torch::zeros({1, options_.head.out_dim}));
  const int64_t patch_prototypes = teacher_->head->patch_v.size(0);
  patch_center_ = register_buffer("center2", torch::zeros({1, 1, patch_prototypes}));
}

double Ibot::patch_temperature(const StepInfo& info) const {
  const int64_t start = options_.mask_start_epoch;
  if (info.whole_epoch() < start) return options_.warmup_patch_teacher_temp;
  // The warm-up of the patches' temperature begins with the masks.
  StepInfo since = info;
  since.step -= start * info.steps_per_epoch;
  return TeacherTemperature{options_.warmup_patch_teacher_temp,
                            options_.patch_teacher_temp,
                            options_.warmup_teacher_temp_epochs}
      .at(since);
}

at::Tensor Ibot::masks_of(const Batch& batch) const {
  std::vector<at::Tensor> of_images;
  for (int64_t i = 0; i < batch.indices.size(0); ++i) {
    Random stream = mask_stream(batch, i, seed_);
    std::vector<at::Tensor> of_crops;
    for (int64_t crop = 0; crop < options_.global_crops; ++crop) {
      of_crops.push_back(share_mask(mask_rows(), mask_columns(), options_.mask, stream));
    }
    of_images.push_back(torch::stack(of_crops));
  }
  // [G, B, L] first, so that rows go crop by crop as those of the views do.
  return torch::stack(of_images, 1).flatten(0, 1);
}

Ibot::Teaching Ibot::teach(const std::vector<at::Tensor>& views, const PatchMask& mask) {
  const torch::NoGradGuard no_grad;
  IbotHead& head = *teacher_->head;
  const at::Tensor tokens = teacher_->backbone->forward_features(torch::cat(global_crops(views)));
  const at::Tensor cls = tokens.select(1, 0);
  const at::Tensor patches = tokens.slice(1, model().num_prefix_tokens()).flatten(0, 1);
  const at::Tensor rows = head.bottleneck(torch::cat({cls, patches}));
  const at::Tensor of_patches = rows.narrow(0, cls.size(0), patches.size(0));
  bottleneck_mean_.add(of_patches);
  Teaching taught{{head.cls_logits(rows.narrow(0, 0, cls.size(0))),
                   head.patch_logits(of_patches.index_select(0, mask.patches))},
                  cls};
  cls_mean_.add(taught.logits.cls);
  return taught;
}

IbotRows Ibot::student_rows(const std::vector<at::Tensor>& views, const PatchMask& mask) {
  Vit& vit = *student_->backbone;
  const at::Tensor images = torch::cat(global_crops(views));
  std::vector<at::Tensor> rows = {
      cls_and_masked_features(vit, images, mask, student_->masked_embed)};
  if (options_.local_crops > 0) {
    rows.push_back(multi_crop_features(vit, {views.begin() + options_.global_crops, views.end()}));
  }
  IbotHead& head = *student_->head;
  const at::Tensor bottleneck = head.bottleneck(torch::cat(rows));
  // Rows: class tokens of the global crops, masked patches, class tokens of the local crops.
  const int64_t globals = images.size(0), masked = mask.count();
  const at::Tensor of_cls =
      torch::cat({bottleneck.slice(0, 0, globals), bottleneck.slice(0, globals + masked)});
  return {head.cls_logits(of_cls), head.patch_logits(bottleneck.narrow(0, globals, masked))};
}

std::vector<at::Tensor> Ibot::draw(const Batch& batch) const {
  return {masked_patches(masks_of(batch))};
}

StepResult Ibot::step(const Batch& batch, const StepInfo& info) {
  require_all_crops(batch);
  const at::Tensor& crop = batch.views.front();
  const bool masked = info.whole_epoch() >= options_.mask_start_epoch;
  const at::Tensor patches =
      masked ? drawn(batch).front() : torch::empty({0}, crop.options().dtype(torch::kInt64));
  const PatchMask mask(patches, options_.global_crops * crop.size(0), mask_rows() * mask_columns());
  return step(batch, mask, info);
}

StepResult Ibot::step(const Batch& batch, const PatchMask& mask, const StepInfo& info) {
  begin_step(info);
  const Teaching taught = teach(batch.views, mask);
  const at::Tensor answers =
      centered_softmax(taught.logits.cls, center_, teacher_temperature(info));
  const at::Tensor patch_answers =
      centered_softmax(taught.logits.patches, patch_center_.squeeze(0), patch_temperature(info));

  const IbotRows student = student_rows(batch.views, mask);
  const at::Tensor cls =
      cross_view_loss(student.cls, answers, options_.global_crops, options_.student_temp);
  const at::Tensor patch =
      weighted_cross_entropy(student.patches, patch_answers, mask.weights(), options_.student_temp);
  return {options_.cls_weight * cls + options_.patch_weight * patch,
          metrics(cls,
                  answers,
                  taught.features,
                  info,
                  {{"cls_loss", cls.detach()},
                   {"patch_loss", patch.detach()},
                   {"center_norm", center_.norm()},
                   {"patch_center_norm", patch_center_.norm()}})};
}

void Ibot::move_centers() {
  if (cls_mean_.empty()) return;
  const at::Tensor patch_mean =
      prototypes_of(bottleneck_mean_.mean(), teacher_->head->patch_v, teacher_->head->patch_g);
  center_.lerp_(cls_mean_.mean(), 1 - options_.center_momentum);
  patch_center_.lerp_(patch_mean.unsqueeze(0), 1 - options_.patch_center_momentum);
}

void Ibot::forget() {
  cls_mean_.reset();
  bottleneck_mean_.reset();
  StudentTeacher::forget();
}

double Ibot::flops_per_image() const {
  const double head = DinoHead::macs(model().embed_dim, options_.head);
  double ratio = 0;
  for (const double one : options_.mask.ratio) ratio += one;
  ratio /= static_cast<double>(options_.mask.ratio.size());
  const int64_t patches = mask_rows() * mask_columns();
  const double masked = ratio * static_cast<double>(patches);
  const auto globals = static_cast<double>(options_.global_crops);
  const auto locals = static_cast<double>(options_.local_crops);
  const double student =
      globals * (global_macs(static_cast<int64_t>(1 + masked)) + (1 + masked) * head) +
      locals * (local_macs() + head);
  const double teacher =
      globals * (global_macs(patches + 1) + static_cast<double>(1 + patches) * head);
  return 6 * student + 2 * teacher;
}

void register_ibot(ObjectiveRegistry& registry) { registry.add<Ibot, IbotOptions>("ibot"); }

}  // namespace previt
