#pragma once

#include <array>
#include <string>

#include "batch.h"
#include "finetune/distillation.h"
#include "finetune/mixup.h"
#include "models/weights/load_model.h"
#include "pretrain/run_options.h"
#include "recipe.h"
#include "settings.h"

namespace previt {

/// How weights that come from no checkpoint are drawn: Xavier uniform, truncated normal (DeiT), or
/// PyTorch's own defaults.
enum class FinetuneInit { mae, timm, framework };
constexpr auto enum_names(FinetuneInit) { return std::array{"mae", "timm", "framework"}; }

/// The `finetune:` section. Defaults are MAE's (docs/official_settings.md, "MAE:
/// fine-tuning"; mae:main_finetune.py).
struct FinetuneOptions {
  double smoothing = 0.1;
  MixOptions mix;
  double erasing = 0.25;                  ///< share of images with an erased box
  FinetuneInit init = FinetuneInit::mae;  ///< used with --from none
  double head_std = 2e-5;                 ///< of the new head's weights; its bias is 0
  bool keep_head = false;                 ///< keep the checkpoint's head, of the same classes
  int64_t repeated_augmentation = 1;      ///< copies of an image in a row (SampleOrder); 1: off
  int64_t per_class = 0;                  ///< training images per class, for few-label runs; 0: all
  int64_t subset_seed = 0;                ///< seed that draws these images
  double holdout = 0.1;                   ///< share held out of data that has no validation split
  /// The short side is resized to size / this; 0: 224/256 up to 224 px, else 1.
  double eval_crop_pct = 0;
  int64_t eval_epochs = 1;  ///< evaluates every so many epochs, and at the end

  /// eval_crop_pct, or its default for images of `image_size` pixels a side.
  double crop_pct(int64_t image_size) const;
};
void visit(FieldVisitor& v, FinetuneOptions& o);

/// FinetuneOptions::crop_pct for a network that is used as it is: its own at its own image size,
/// where it is known, else the default.
double evaluation_crop(const LoadedModel& model, int64_t image_size);

/// A whole supervised run: the sections that all runs have, `finetune:`, `distillation:` and
/// `augment:`.
struct FinetuneRun {
  RunOptions options;
  FinetuneOptions finetune;
  DistillationOptions distillation;
  ViewSpec augment;       ///< the training view; its size is model.image_size
  KeyPlaces places = {};  ///< where the recipe's keys stand, for errors found later

  /// Reads the recipe over the defaults for the model: the checkpoint's options where `pretrained`
  /// is given, else those of the recipe's `model:`. Throws UsageError that begins with the wrong
  /// key's place.
  static FinetuneRun read(Recipe& recipe, const LoadedModel* pretrained);

  /// Every option with its value, as YAML that reads back to the same run.
  std::string resolved() const;
  /// The same as a list.
  Settings settings() const;
};
void visit(FieldVisitor& v, FinetuneRun& o);

/// MAE's official settings for a model of this depth and width: rates per 256 images, layer decay
/// and drop path of ViT-B, L and H. Narrower models get those of ViT-B, with iBOT's layer decay
/// for ViT-S. Training from random weights has no layer decay.
FinetuneRun finetune_defaults(const VitOptions& model, bool pretrained);

}  // namespace previt
