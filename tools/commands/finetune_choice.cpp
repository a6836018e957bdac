#include "commands/finetune_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "error.h"

namespace previt::cli {
namespace {

// --- the rules -----------------------------------------------------------------------------------

constexpr int64_t kManyLabels = 100'000;  // from here on MAE's settings, which are for ImageNet
constexpr int64_t kWide = 384;            // ViT-S

// A narrow network takes a higher rate than MAE's, which wider ones keep (recipes/small). Of smaller
// batches it falls as their square root: in proportion, 100 labels reach 34 % instead of 42
// (docs/results.md).
constexpr double kNarrowRate = 2e-3;  // per 256 images, in batches of kMostBatch

// Wide networks get their batch in pieces that fit into memory.
constexpr const char* kWidePieces = "  micro_batch: 16\n";

// With few labels, a hundred epochs of the usual batches would be a hundred steps.
constexpr int64_t kBatchesInEpoch = 12;
constexpr int64_t kLeastBatch = 16, kMostBatch = 128;
constexpr int64_t kLabelsSeen = 87'500;  // 25 epochs of 3,500 (recipes/small)
constexpr int64_t kFewestEpochs = 25, kMostEpochs = 100;

// Mixed images need more epochs than few labels get.
constexpr const char* kAugmentation =
    "finetune: {smoothing: 0.1, mixup: 0, cutmix: 0, erasing: 0.25, eval_epochs: 5}\n"
    "augment: {scale: [0.2, 1.0], flip: 0.5, rand_augment: rand-m6-mstd0.5-inc1}\n";

// recipes/quickstart/finetune.yaml: strong crops and colours leave little of a small picture.
constexpr int64_t kSmallPicture = 96;  // pixels; below
constexpr const char* kMildAugmentation =
    "finetune: {smoothing: 0.1, mixup: 0, cutmix: 0, erasing: 0, eval_epochs: 5}\n"
    "augment: {scale: [0.5, 1.0], flip: 0.5, rand_augment: \"\"}\n";

}  // namespace

RecipeChoice choose_finetuning(int64_t images, const VitOptions& model, const std::string& path) {
  if (images >= kManyLabels) {
    return {"",
            {fmt::format("{}: {} labelled images; MAE's settings for the model", path, images)}};
  }
  const bool wide = model.embed_dim >= kWide;
  const bool small = std::min(model.image_height(), model.image_width()) < kSmallPicture;
  const auto part = static_cast<uint64_t>(images / kBatchesInEpoch);
  const int64_t batch =
      std::clamp(static_cast<int64_t>(std::bit_floor(part)), kLeastBatch, kMostBatch);
  const int64_t epochs =
      std::clamp(kLabelsSeen / std::max<int64_t>(1, images), kFewestEpochs, kMostEpochs);
  const double rate =
      kNarrowRate * std::sqrt(static_cast<double>(kMostBatch) / static_cast<double>(batch));
  const std::string recipe = fmt::format(
      "{}optimizer:\n  weight_decay: 0.05\n{}schedule: {{warmup_epochs: 5, min_lr: 1.0e-6}}\n"
      "train:\n  epochs: {}\n  batch: {}\n{}",
      small ? kMildAugmentation : kAugmentation,
      wide ? "" : fmt::format("  base_lr: {:.3g}\n", rate),
      epochs,
      batch,
      wide ? kWidePieces : "");
  return {recipe,
          {fmt::format("{}: {} labelled images: {} epochs in batches of {}, as recipes/small; a "
                       "--recipe chooses otherwise",
                       path,
                       images,
                       epochs,
                       batch)}};
}

}  // namespace previt::cli
