#include "pretrain/objectives/ibot.h"

#include "models/vit.h"
#include "models/weights/weights.h"
#include "parity/vit.h"
#include "pretrain/losses/weighted_cross_entropy.h"
#include "pretrain/train/stepper.h"

namespace previt::parity {
namespace {

IbotMethodOptions ibot_temperatures(const Fixture& fixture) {
  IbotMethodOptions o;
  o.warmup_teacher_temp = fixture.number("wtt");
  o.teacher_temp = fixture.number("tt");
  o.warmup_patch_teacher_temp = fixture.number("wtt2");
  o.patch_teacher_temp = fixture.number("tt2");
  o.warmup_teacher_temp_epochs = fixture.integer("wte");
  o.head = {.out_dim = fixture.integer("out_dim"), .hidden_dim = 4, .bottleneck_dim = 4};
  o.patch_out_dim = fixture.integer("patch_out_dim");
  o.mask_start_epoch = fixture.config.value("mim_start_epoch", o.mask_start_epoch);
  o.student_temp = fixture.number("student_temp", o.student_temp);
  o.center_momentum = fixture.number("cm", o.center_momentum);
  o.patch_center_momentum = fixture.number("cm2", o.patch_center_momentum);
  o.cls_weight = fixture.number("lambda1", o.cls_weight);
  o.patch_weight = fixture.number("lambda2", o.patch_weight);
  return o;
}

StepInfo ibot_epoch(int64_t epoch, int64_t epochs) {
  return {.step = epoch, .total_steps = epochs, .steps_per_epoch = 1, .epochs = epochs};
}

// A network that only has to exist.
RunOptions smallest_ibot_run() {
  RunOptions run;
  IbotOptions::set_defaults(run);
  run.model.embed_dim = 12;
  run.model.depth = 1;
  run.model.num_heads = 1;
  run.model.image_size = {16};
  return run;
}

// masks [views, B, rows, columns] → bool [views · B, L].
PatchMask stacked_mask(const at::Tensor& masks) {
  return PatchMask(masks.flatten(2).flatten(0, 1).to(torch::kBool), device());
}

// The masks given instead of drawn.
struct GivenMasks final : Objective {
  explicit GivenMasks(std::shared_ptr<Ibot> given) : ibot(std::move(given)) {
    register_module("ibot", ibot);
  }
  std::vector<ViewSpec> views() const override { return ibot->views(); }
  StepResult step(const Batch& batch, const StepInfo& info) override {
    return ibot->step(batch, *mask, info);
  }
  void after_optimizer_step(const StepInfo& info) override { ibot->after_optimizer_step(info); }
  std::shared_ptr<Vit> backbone() override { return ibot->backbone(); }

  std::shared_ptr<Ibot> ibot;
  const PatchMask* mask = nullptr;
};

// The run of ibot_step: one step in the middle of its epoch, at given rates.
RunOptions step_run(const Fixture& fixture) {
  RunOptions run;
  IbotOptions::set_defaults(run);
  run.model = vit_options(fixture, "weight.student.backbone.");
  run.model.pos_resize = ResizeConvention::dino;
  run.normalize = {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  run.optimizer.base_lr = fixture.number("lr");
  run.optimizer.base_batch = 0;
  run.optimizer.weight_decay = fixture.number("wd");
  run.optimizer.weight_decay_end = -1;
  run.optimizer.clip_grad = fixture.number("clip_grad", 0);
  run.schedule.kind = ScheduleKind::constant;
  run.train.batch = fixture.integer("batch");
  run.train.precision = Precision::fp32;
  return run;
}

IbotOptions step_options(const Fixture& fixture) {
  IbotOptions options;
  IbotMethodOptions& o = options.ibot = ibot_temperatures(fixture);
  o.global_crops = fixture.at("input.global").size(0);
  o.local_crops = fixture.has("input.local") ? fixture.at("input.local").size(0) : 0;
  o.head.hidden_dim = fixture.integer("hidden_dim");
  o.head.bottleneck_dim = fixture.integer("bottleneck_dim");
  o.head.layers = fixture.config.value("nlayers", o.head.layers);
  o.head.norm_last_layer = fixture.flag("norm_last_layer");
  o.shared_head = fixture.flag("shared_head");
  o.shared_head_teacher = fixture.flag("shared_head_teacher");
  o.freeze_last_layer = fixture.integer("freeze_last_layer");
  o.teacher_momentum = o.teacher_momentum_end = fixture.number("momentum");
  options.augment.local.height = options.augment.local.width = fixture.integer("local");
  return options;
}

// Official names as ours; of a shared head only last_layer.
NamedTensors ours(const NamedTensors& official, const IbotMethodOptions& o) {
  NamedTensors named;
  for (const auto& [key, tensor] : official) {
    const bool shared = key.starts_with("teacher.") ? o.shared_head_teacher : o.shared_head;
    if (shared && key.find("last_layer2") != std::string::npos) continue;
    std::string name = key;
    const auto at = name.find("backbone.masked_embed");
    if (at != std::string::npos) name.replace(at, 21, "masked_embed");
    named[name] = tensor;
  }
  return named;
}

NamedTensors with_prefix(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors named;
  for (const auto& [name, tensor] : tensors) named[prefix + name] = tensor;
  return named;
}

void check_weights(const Fixture& fixture,
                   const Ibot& ibot,
                   const IbotMethodOptions& o,
                   Check& check) {
  const auto own = named_tensors(ibot);
  for (const auto& [key, want] : fixture.group("output.")) {
    if (!key.starts_with("student.") && !key.starts_with("teacher.")) continue;
    const NamedTensors named = ours({{key, want}}, o);
    if (named.empty()) continue;
    const auto it = own.find(named.begin()->first);
    if (it == own.end()) {
      check.fail(key, "is not in the model");
    } else {
      check_trained(fixture, "output." + key, it->second, check);
    }
  }
}

}  // namespace

PARITY_CASE(ibot_loss) {
  const IbotMethodOptions options = ibot_temperatures(fixture);
  IbotOptions whole{};
  whole.ibot = options;
  whole.ibot.shared_head = whole.ibot.shared_head_teacher = false;
  const Ibot ibot(whole, smallest_ibot_run());
  const int64_t epochs = fixture.integer("nepochs"), globals = fixture.integer("ngcrops");
  std::vector<double> cls_schedule, patch_schedule;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    cls_schedule.push_back(ibot.teacher_temperature(ibot_epoch(epoch, epochs)));
    patch_schedule.push_back(ibot.patch_temperature(ibot_epoch(epoch, epochs)));
  }
  const auto table = [](const std::vector<double>& v) { return torch::tensor(v, torch::kFloat64); };
  check.t4("teacher_temp", table(cls_schedule), fixture.at("output.teacher_temp_schedule"));
  check.t4("teacher_temp2", table(patch_schedule), fixture.at("output.teacher_temp2_schedule"));

  at::Tensor center = fixture.given("input.center").clone();
  at::Tensor patch_center = fixture.given("input.center2").clone();
  const auto run = fixture.config.at("epochs_run").get<std::vector<size_t>>();
  for (size_t i = 0; i < run.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const auto given = [&](const char* name) { return fixture.given(name)[at]; };
    const auto key = [&](const char* name) { return fmt::format("{}_{}", name, i); };
    const PatchMask mask = stacked_mask(fixture.at("input.masks")[at]);
    const at::Tensor cls = given("input.student_cls").clone().requires_grad_();
    const at::Tensor patches = given("input.student_patch").clone().requires_grad_();
    at::Tensor local = torch::empty({0, cls.size(1)}, cls.options());
    if (fixture.has("input.student_local_cls")) local = given("input.student_local_cls").clone();
    local.requires_grad_();
    const at::Tensor targets =
        centered_softmax(given("input.teacher_cls"), center, cls_schedule[run[i]]);
    const at::Tensor patch_targets = centered_softmax(
        mask.select(given("input.teacher_patch")), patch_center.squeeze(0), patch_schedule[run[i]]);
    const at::Tensor cls_loss =
        cross_view_loss(torch::cat({cls, local}), targets, globals, options.student_temp);
    const at::Tensor patch_loss = weighted_cross_entropy(
        mask.select(patches), patch_targets, mask.weights(), options.student_temp);
    const at::Tensor of_cls = options.cls_weight * cls_loss;
    const at::Tensor of_patches = options.patch_weight * patch_loss;
    const at::Tensor loss = of_cls + of_patches;
    check.t1(key("cls"), of_cls, fixture.at(key("output.cls")));
    check.t1(key("patch"), of_patches, fixture.at(key("output.patch")));
    check.t1(key("loss"), loss, fixture.at(key("output.loss")));
    loss.backward();
    check.t2(key("grad cls"), cls.grad(), fixture.at(key("grad_input.student_cls")));
    if (local.size(0) > 0) {
      check.t2(key("grad local"), local.grad(), fixture.at(key("grad_input.student_local_cls")));
    }
    check.t2(key("grad patch"), patches.grad(), fixture.at(key("grad_input.student_patch")));
    RowMean mean, patch_mean;
    mean.add(given("input.teacher_cls"));
    patch_mean.add(given("input.teacher_patch").flatten(0, 1));
    center.lerp_(mean.mean(), 1 - options.center_momentum);
    patch_center.lerp_(patch_mean.mean().unsqueeze(0), 1 - options.patch_center_momentum);
    check.t1(key("center"), center, fixture.at(key("output.center")));
    check.t1(key("center2"), patch_center, fixture.at(key("output.center2")));
  }
}

PARITY_CASE(ibot_step) {
  const IbotOptions options = step_options(fixture);
  const RunOptions run = step_run(fixture);
  auto ibot = std::make_shared<Ibot>(options, run);
  GivenMasks objective(ibot);
  objective.train();
  NamedTensors weights = ours(fixture.group("weight."), options.ibot);
  weights["center"] = fixture.at("input.center");
  weights["center2"] = fixture.at("input.center2");
  load_renamed(*ibot, weights, check);

  const PatchMask mask = stacked_mask(fixture.at("input.masks"));
  objective.mask = &mask;
  Batch batch;
  for (const char* kind : {"input.global", "input.local"}) {
    if (!fixture.has(kind)) continue;
    for (const auto& crop : fixture.given(kind).unbind(0)) batch.views.push_back(crop);
  }
  const StepInfo info{.step = fixture.integer("epoch"),
                      .total_steps = fixture.integer("nepochs"),
                      .steps_per_epoch = 1,
                      .epochs = fixture.integer("nepochs")};
  const IbotRows rows = ibot->student_rows(batch.views, mask);
  const int64_t global_rows = fixture.at("output.student_cls").size(0);
  check.t1("student_cls", rows.cls.slice(0, 0, global_rows), fixture.at("output.student_cls"));
  if (fixture.has("output.student_local_cls")) {
    check.t1("student_local_cls",
             rows.cls.slice(0, global_rows),
             fixture.at("output.student_local_cls"));
  }
  check.t1("student_patch", rows.patches, mask.select(fixture.given("output.student_patch")));

  // Raw gradients: the prototypes' too, which the run itself doesn't make while it freezes them.
  IbotOptions unfrozen = options;
  unfrozen.ibot.freeze_last_layer = 0;
  Ibot raw(unfrozen, run);
  raw.to(device());
  load_into(raw, named_tensors(*ibot));
  raw.train();
  const StepResult result = raw.step(batch, mask, info);
  check.t1("loss", result.loss, fixture.at("output.loss"));
  for (const auto& [name, value] : result.metrics) {
    if (name == "cls_loss") check.t1(name, value, fixture.at("output.cls"));
    if (name == "patch_loss") check.t1(name, value, fixture.at("output.patch"));
  }
  result.loss.backward();
  const auto of_raw = named_tensors(raw);
  for (const auto& [name, want] :
       ours(with_prefix(fixture.group("grad."), "student."), options.ibot)) {
    const auto it = of_raw.find(name);
    check.t2("grad " + name, it == of_raw.end() ? at::Tensor() : it->second.grad(), want);
  }

  Stepper stepper(objective, run);
  stepper.step(info, run.train.batch, [&] { return batch; });
  const auto own = named_tensors(*ibot);
  check.t1("center", own.at("center"), fixture.at("output.center"));
  check.t1("center2", own.at("center2"), fixture.at("output.center2"));
  check_weights(fixture, *ibot, options.ibot, check);
}

}  // namespace previt::parity
