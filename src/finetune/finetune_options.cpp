#include "finetune/finetune_options.h"

#include "finetune/model.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/train/freezing.h"
#include "recipe_writer.h"

namespace previt {
namespace {

struct ModelSection {
  VitOptions model;
};
void visit(FieldVisitor& v, ModelSection& o) { v.section("model", o.model); }

// Checked before any key is read: those of another objective would all be unknown.
void require_finetuning(Recipe& recipe) {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  const std::string asked = objective_in(recipe, "finetune");
  for (const std::string& name : registry.names()) {
    const bool own_section = !recipe.has("objective") && recipe.has(name);
    if (asked != name && !own_section) continue;
    recipe.fail_at(
        "objective",
        fmt::format("{} is for pretraining; use {}", name, registry.make(name)->command()));
  }
  if (asked != "finetune") {
    recipe.fail_at("objective", fmt::format("{} is not finetune", asked));
  }
}

void set_view_size(Recipe& recipe, ViewSpec& view, const VitOptions& model) {
  const auto fit = [&](const char* key, int64_t& size, int64_t wanted) {
    if (size != 0 && size != wanted) {
      recipe.fail_at(key, fmt::format("{} is not that of model.image_size, {}", size, wanted));
    }
    size = wanted;
  };
  fit("augment.height", view.height, model.image_height());
  fit("augment.width", view.width, model.image_width());
}

void check_distillation(Recipe& recipe, const FinetuneRun& run) {
  const DistillationOptions& o = run.distillation;
  if (!o.on()) return;
  if (o.teacher.empty()) {
    recipe.fail_at("distillation.teacher", "empty; say which checkpoint teaches");
  }
  if (!run.options.model.dist_token) {
    recipe.fail_at("distillation.kind",
                   fmt::format("{} needs model.dist_token: true", name_of(o.kind)));
  }
}

}  // namespace

double FinetuneOptions::crop_pct(int64_t image_size) const {
  if (eval_crop_pct > 0) return eval_crop_pct;
  return image_size <= 224 ? 224.0 / 256 : 1.0;
}

double evaluation_crop(const LoadedModel& model, int64_t image_size) {
  FinetuneOptions evaluation;
  if (image_size == model.options.image_height()) evaluation.eval_crop_pct = model.crop_pct;
  return evaluation.crop_pct(image_size);
}

void visit(FieldVisitor& v, FinetuneOptions& o) {
  v.field("smoothing", o.smoothing, "label smoothing", {0, 1, false, true});
  visit(v, o.mix);
  v.field("erasing", o.erasing, "share of images with an erased box", between(0, 1));
  v.field("init", o.init, "of weights from no checkpoint");
  v.field("head_std", o.head_std, "of the new head's weights", at_least(0));
  v.field("keep_head", o.keep_head, "go on with the checkpoint's head, of the same classes");
  v.field("repeated_augmentation",
          o.repeated_augmentation,
          "copies of an image in a row, on fewer images an epoch; 1: off",
          between(1, 1024));
  v.field("per_class", o.per_class, "training images per class; 0: all", at_least(0));
  v.field("subset_seed", o.subset_seed, "which ones those are", at_least(0));
  v.field("holdout",
          o.holdout,
          "share held out of data without a validation split",
          {0, 1, true, true});
  v.field("eval_crop_pct",
          o.eval_crop_pct,
          "short side is resized to size / this; 0: 224/256 up to 224 px, else 1",
          between(0, 1));
  v.field("eval_epochs", o.eval_epochs, "evaluate every so many epochs", at_least(1));
}

void visit(FieldVisitor& v, FinetuneRun& o) {
  visit(v, o.options);
  v.section("finetune", o.finetune);
  v.section("distillation", o.distillation);
  v.section("augment", o.augment);
}

FinetuneRun finetune_defaults(const VitOptions& model, bool pretrained) {
  FinetuneRun defaults;
  RunOptions& run = defaults.options;
  const VitOptions resolved = resolve(model);
  const bool large = resolved.depth >= 24, huge = resolved.depth >= 32,
             small = resolved.embed_dim < 768;

  run.objective = "finetune";
  run.model = model;
  // A checkpoint with classes keeps its pooling, and a distillation token needs a class token.
  if (run.model.num_classes == 0 && !run.model.dist_token) run.model.pool = Pooling::avg;
  // In MAE's fine-tuning the sin-cos table is a parameter like any other.
  if (pretrained && run.model.pos_embed == PosEmbed::sincos)
    run.model.pos_embed = PosEmbed::learned;
  // BEiT and SimMIM pretrain with one table and fine-tune with a copy of it in each block.
  const bool one_table = run.model.rel_pos_bias == RelPosBias::shared && run.model.num_classes == 0;
  if (pretrained && one_table) run.model.rel_pos_bias = RelPosBias::per_block;
  run.model.drop_path = huge ? 0.3 : large ? 0.2 : 0.1;
  run.optimizer.base_lr = large ? 1e-3 : 5e-4;
  run.optimizer.betas = {0.9, 0.999};
  run.optimizer.layer_decay = !pretrained ? 1 : large || small ? 0.75 : 0.65;
  run.schedule.warmup_epochs = 5;
  run.schedule.min_lr = 1e-6;
  run.train.epochs = large ? 50 : 100;
  run.output.preview_epochs = 0;

  defaults.augment.name = "train";
  defaults.augment.height = defaults.augment.width = 0;
  defaults.augment.scale = {0.08, 1.0};
  defaults.augment.rand_augment = RandAugment::parse("rand-m9-mstd0.5-inc1");
  return defaults;
}

FinetuneRun FinetuneRun::read(Recipe& recipe, const LoadedModel* pretrained) {
  require_finetuning(recipe);
  ModelSection section;
  if (pretrained != nullptr) section.model = pretrained->options;
  recipe.read(section);
  VitOptions model = section.model;
  if (pretrained != nullptr) {
    model = pretrained->options;
    if (!pretrained->heads_told) model.num_heads = section.model.num_heads;
    require_heads(model, *pretrained);
  }
  FinetuneRun whole =
      recipe.places().around([&] { return finetune_defaults(model, pretrained != nullptr); });
  if (pretrained != nullptr) {
    whole.options.normalize = pretrained->normalize;
    whole.finetune.eval_crop_pct = pretrained->crop_pct;
  }
  recipe.read(whole);
  recipe.require_all_read();
  whole.places = recipe.places();
  whole.places.around([&] {
    whole.options.model = resolve(whole.options.model);
    require_freezable(whole.options, /*loaded=*/pretrained != nullptr);
  });
  set_view_size(recipe, whole.augment, whole.options.model);
  check_distillation(recipe, whole);
  if (!whole.options.start.from.empty()) {
    recipe.fail_at("model.from", "is for pretraining; fine-tuning takes --from");
  }
  if (whole.options.data.device_augment != DeviceAugment::none) {
    recipe.fail_at("data.device_augment", "is for pretraining; fine-tuning augments on the host");
  }
  if (whole.options.train.micro_batch == kAutomatic) {
    recipe.fail_at("train.micro_batch", "auto is for pretraining; fine-tuning needs a number");
  }
  return whole;
}

std::string FinetuneRun::resolved() const {
  RecipeWriter writer;
  FinetuneRun all = *this;
  visit(writer, all);
  return writer.text();
}

Settings FinetuneRun::settings() const {
  SettingsList list;
  FinetuneRun all = *this;
  visit(list, all);
  return list.settings();
}

}  // namespace previt
