#include "pretrain/student_teacher.h"

#include <fmt/format.h>

#include <algorithm>

#include "error.h"
#include "models/vit.h"
#include "models/vit_macs.h"
#include "pretrain/pictures/attention_picture.h"
#include "pretrain/schedule.h"

namespace previt {
namespace {

void check_head(const std::string& section,
                const DinoHeadOptions& head,
                const TrainOptions& train) {
  if (!head.use_bn) return;
  if (head.layers == 1) {
    fail_usage(
        "{}.head.use_bn: a head of one layer has nothing to normalise; use layers: 2 or "
        "more, or use_bn: false",
        section);
  }
  if (train.accumulates()) {
    fail_usage(
        "{}.head.use_bn: its statistics need the whole batch at once; set "
        "train.micro_batch: 0, or use_bn: false",
        section);
  }
}

void check_pair(const std::string& section,
                const StudentTeacherOptions& o,
                const VitOptions& model) {
  if (o.global_crops + o.local_crops < 2) {
    fail_usage("{}.local_crops: two crops or more are needed to compare them", section);
  }
  if (model.pool != Pooling::cls || !model.cls_token) {
    fail_usage("model.pool: {} compares class tokens; use pool: cls with cls_token: true", section);
  }
}

}  // namespace

void visit(FieldVisitor& v, StudentTeacherOptions& o) {
  v.field("global_crops", o.global_crops, "large crops; the teacher sees only these", at_least(1));
  v.field("local_crops", o.local_crops, "small crops", at_least(0));
  v.section("head", o.head);
  v.field("freeze_last_layer",
          o.freeze_last_layer,
          "epochs in which the prototypes stay as they are",
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
  v.field("center_momentum", o.center_momentum, "of the center's moving average", between(0, 1));
}

void StudentTeacherOptions::set_defaults(RunOptions& run) {
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
}

void lay_out_pair(const NamedTensors& own, const std::string& loss, LoadedModel& model) {
  model.format = "dino";
  const std::string teacher = "teacher.";
  for (const auto& [name, tensor] : own) {
    if (name.starts_with("teacher.backbone.")) continue;
    if (name.starts_with(teacher)) {
      model.extra[name.substr(teacher.size())] = tensor;
    } else {
      model.others[name.starts_with("student.") ? name : loss + "." + name] = tensor;
    }
  }
}

StudentTeacherNetwork::StudentTeacherNetwork(const VitOptions& model) {
  backbone = register_module("backbone", std::make_shared<Vit>(model));
}

StudentTeacher::StudentTeacher(CollapseRemedies remedies,
                               const StudentTeacherOptions& options,
                               const MultiCropOptions& crops,
                               const RunOptions& run)
    : remedies_(std::move(remedies)),
      options_(options),
      model_(resolve(run.model)),
      crops_(resolve(crops, options_.global_crops, options_.local_crops, model_)),
      warmup_epochs_(run.schedule.warmup_epochs),
      collapse_(run.output.log_steps) {
  check_pair(remedies_.section, options_, model_);
  check_head(remedies_.section, options_.head, run.train);
}

double StudentTeacher::teacher_temperature(const StepInfo& info) const {
  const TeacherTemperature temperature{.warmup = options_.warmup_teacher_temp,
                                       .value = options_.teacher_temp,
                                       .warmup_epochs = options_.warmup_teacher_temp_epochs};
  return temperature.at(info);
}

double StudentTeacher::teacher_momentum(const StepInfo& info) const {
  const CosineTable table{.base = options_.teacher_momentum, .end = options_.teacher_momentum_end};
  return table.at(info.step, info.total_steps);
}

double StudentTeacher::global_macs(int64_t rows) const {
  VitOptions of_crop = model_;
  of_crop.image_size = {crops_.global_1.height, crops_.global_1.width};
  return blocks_rows_macs(of_crop, rows);
}

double StudentTeacher::local_macs() const {
  return pooled_macs(model_, crops_.local.height, crops_.local.width);
}

void StudentTeacher::require_all_crops(const Batch& batch) const {
  require_crops(batch, options_.global_crops + options_.local_crops, remedies_.section);
}

std::vector<at::Tensor> StudentTeacher::global_crops(const std::vector<at::Tensor>& views) const {
  return {views.begin(), views.begin() + options_.global_crops};
}

std::optional<double> StudentTeacher::encoded_tokens_per_image() const {
  double tokens = 0;
  for (const ViewSpec& view : views()) {
    const int64_t patches = (view.height / model_.patch_size) * (view.width / model_.patch_size);
    tokens += static_cast<double>(view.count * (model_.num_prefix_tokens() + patches));
  }
  return tokens;
}

std::vector<StartingBackbone> StudentTeacher::starting_backbones() {
  return {{"teacher", teacher().backbone.get()}, {"student", student().backbone.get()}};
}

// A file may hold one head only, from which both start. The center belongs to it, but may be
// missing; the official training states have it in that of the loss.
InFiles StudentTeacher::in_files(const std::string& name) const {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) {
    return {
        .part = "head", .names = {name, "dino_loss." + name, "ibot_loss." + name}, .needed = false};
  }
  const std::string rest = name.substr(dot + 1);
  const bool of_student = name.starts_with("student.");
  return {.part = rest.substr(0, rest.find('.')),
          .names = {name, rest, (of_student ? "teacher." : "student.") + rest}};
}

void StudentTeacher::begin_step(const StepInfo& info) {
  if (info.first_here()) forget();
  student().freeze_prototypes(info.whole_epoch() < options_.freeze_last_layer);
}

Metrics StudentTeacher::metrics(const at::Tensor& loss,
                                const at::Tensor& targets,
                                const at::Tensor& features,
                                const StepInfo& info,
                                const Metrics& own) {
  Metrics all = collapse_.add(loss, targets, features, info);
  all.insert(all.end(), own.begin(), own.end());
  all.emplace_back("teacher_temp", torch::tensor(teacher_temperature(info)));
  all.emplace_back("teacher_momentum", torch::tensor(teacher_momentum(info)));
  return all;
}

void StudentTeacher::after_optimizer_step(const StepInfo& info) {
  const torch::NoGradGuard no_grad;
  move_centers();
  average_.move(teacher_momentum(info), info.made);
  forget();
}

std::vector<Picture> StudentTeacher::previews(const Batch& batch,
                                              const NormalizeOptions& normalize) {
  return {attention_picture(*teacher().backbone, batch.views.at(0), normalize)};
}

std::string StudentTeacher::odd_plan(int64_t epochs) const {
  if (options_.freeze_last_layer < epochs) return "";
  return fmt::format(
      "{}.freeze_last_layer: {} of {} epochs: the last layer is never trained; make it smaller or "
      "train longer",
      remedies_.section,
      options_.freeze_last_layer,
      epochs);
}

std::string StudentTeacher::diagnose(const std::map<std::string, double>& means,
                                     const StepInfo& info) const {
  // Judged after the warm-up, but no later than after a tenth of the run: a short run may be all
  // warm-up.
  const double warmup = std::min(warmup_epochs_, 0.1 * static_cast<double>(info.epochs));
  if (info.epoch() < warmup) return "";
  return describe_collapse(means, options_.head.out_dim, remedies_);
}

}  // namespace previt
