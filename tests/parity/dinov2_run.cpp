#include "parity/dinov2_run.h"

#include "parity/vit.h"

namespace previt::parity {

RunOptions dinov2_run(const Fixture& fixture) {
  RunOptions run;
  Dinov2Options::set_defaults(run);
  run.model = dinov2_vit_options(fixture, "weight.student.backbone.");
  run.normalize = {.mean = {0, 0, 0}, .std = {1, 1, 1}};
  run.optimizer.base_lr = fixture.number("base_lr");
  run.optimizer.betas = {fixture.number("adamw_beta1"), fixture.number("adamw_beta2")};
  run.optimizer.eps = fixture.number("adamw_eps");
  run.optimizer.weight_decay = fixture.number("weight_decay");
  run.optimizer.weight_decay_end = fixture.number("weight_decay_end");
  run.optimizer.clip_grad = fixture.number("clip_grad");
  run.optimizer.layer_decay = fixture.number("layerwise_decay");
  run.schedule.warmup_epochs = fixture.number("warmup_epochs");
  run.schedule.min_lr = fixture.number("min_lr");
  run.train.epochs = fixture.integer("epochs");
  run.train.batch = fixture.integer("batch");
  run.train.precision = Precision::fp32;
  return run;
}

Dinov2Options dinov2_options(const Fixture& fixture) {
  Dinov2Options options;
  Dinov2MethodOptions& o = options.dinov2;
  const auto head = [&](const std::string& prefix) {
    return DinoHeadOptions{.out_dim = fixture.integer(prefix + "out_dim"),
                           .hidden_dim = fixture.integer(prefix + "hidden_dim"),
                           .bottleneck_dim = fixture.integer(prefix + "bottleneck_dim"),
                           .layers = fixture.integer(prefix + "nlayers"),
                           .norm_last_layer = false};
  };
  o.global_crops = fixture.at("input.global").size(0);
  o.local_crops = fixture.integer("n_local");
  o.head = head("");
  o.separate_head = fixture.flag("separate_head");
  if (o.separate_head) o.patch_head = head("ibot_");
  o.centering = fixture.config.at("centering") == "sinkhorn_knopp" ? Centering::sinkhorn_knopp
                                                                   : Centering::center;
  o.sinkhorn_iterations = fixture.integer("sinkhorn_iterations");
  o.center_momentum = fixture.number("center_momentum");
  o.koleo_weight = fixture.number("koleo_loss_weight");
  o.cls_weight = fixture.number("dino_loss_weight");
  o.patch_weight = fixture.number("ibot_loss_weight");
  o.patch_embed_lr = fixture.number("patch_embed_lr_mult");
  o.freeze_last_layer = fixture.integer("freeze_last_layer_epochs");
  o.student_temp = fixture.number("student_temp");
  o.teacher_temp = fixture.number("teacher_temp");
  o.warmup_teacher_temp = fixture.number("warmup_teacher_temp");
  o.warmup_teacher_temp_epochs = fixture.integer("warmup_teacher_temp_epochs");
  o.teacher_momentum = fixture.number("momentum_teacher");
  o.teacher_momentum_end = fixture.number("final_momentum_teacher");
  for (ViewSpec* crop : {&options.augment.global_1, &options.augment.global_2}) {
    crop->height = crop->width = fixture.integer("global_size");
  }
  options.augment.local.height = options.augment.local.width = fixture.integer("local_size");
  return options;
}

std::string own_name(std::string name) {
  const std::string mask = "backbone.mask_token", registers = "register_tokens";
  if (const auto at = name.find(mask); at != std::string::npos) {
    name.replace(at, mask.size(), "mask_token");
  }
  if (const auto at = name.find(registers); at != std::string::npos) {
    name.replace(at, registers.size(), "reg_token");
  }
  return name;
}

StepInfo dinov2_info(const Fixture& fixture, int64_t step) {
  const int64_t steps = fixture.integer("niter"), epochs = fixture.integer("epochs");
  return {.step = step, .total_steps = steps * epochs, .steps_per_epoch = steps, .epochs = epochs};
}

PatchMask dinov2_mask(const Fixture& fixture, int64_t step) {
  const at::Tensor masks = fixture.at(fmt::format("input.masks_{}", step));
  return PatchMask(masks.flatten(2).flatten(0, 1).to(torch::kBool), device());
}

Batch dinov2_batch(const Fixture& fixture, const PatchMask& mask) {
  Batch batch;
  for (const char* kind : {"input.global", "input.local"}) {
    for (const auto& crop : fixture.given(kind).unbind(0)) batch.views.push_back(crop);
  }
  batch.drawn = {mask.patches};
  return batch;
}

NamedTensors first_weights(const Fixture& fixture) {
  NamedTensors weights;
  for (const auto& [name, tensor] : fixture.group("weight.student.")) {
    weights["student." + own_name(name)] = weights["teacher." + own_name(name)] = tensor;
  }
  for (const auto& [name, tensor] : fixture.group("weight.teacher.")) {
    weights["teacher." + own_name(name)] = tensor;
  }
  const auto center = [&](const std::string& kind, int64_t prototypes) {
    return fixture.has("input.center_" + kind)
               ? fixture.at("input.center_" + kind).view({1, prototypes})
               : torch::zeros({1, prototypes});
  };
  const bool separate = fixture.flag("separate_head");
  weights["center"] = center("dino", fixture.integer("out_dim"));
  weights["center2"] = center("ibot", fixture.integer(separate ? "ibot_out_dim" : "out_dim"));
  return weights;
}

}  // namespace previt::parity
