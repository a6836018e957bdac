#include "commands/recipe_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "error.h"
#include "nearest_word.h"

namespace previt::cli {
namespace {

// --- the rules -----------------------------------------------------------------------------------
// Of each table the first row holds whose conditions are met. The numbers are those of the recipes
// that a row names; where it names none, its reason stands beside it.

// How large images the network sees, in patches of which size.
struct SizeRule {
  int64_t least_side;  // median short side of the images
  bool gpu;            // on a GPU only
  int64_t image, patch;
  int64_t global_crop, local_crop;  // dino's
  const char* why;
};
constexpr SizeRule kSizes[] = {
    {160, true, 224, 16, 224, 96, "as recipes/imagenet"},
    {96, false, 128, 16, 64, 32, "as recipes/small; 224 px cost three times as much"},
    {48, false, 64, 8, 64, 32, "as recipes/quickstart, since the images are small"},
    // recipes/cifar10/dino_vit_tiny.yaml; MAE's patches of 2 there cost four times as much.
    {0, false, 32, 4, 32, 16, "as recipes/cifar10, since the images are tiny"},
};

// Which network, and how it is trained.
struct NetworkRule {
  int64_t least_images;
  bool gpu;  // on a GPU only
  const char* model;
  const char* mae_decoder;
  const char* dino;                   // head, teacher and its temperature
  double mae_lr, dino_lr, simmim_lr;  // mae, dino: per 256 images
  int64_t most_batch, most_dino_batch;
  double images_seen, dino_images_seen;  // in all epochs
  const char* why;
};
constexpr NetworkRule kNetworks[] = {
    {300'000,
     true,
     "  arch: vit_base\n",
     "{embed_dim: 512, depth: 8, num_heads: 16}",
     "  head: {out_dim: 65536, hidden_dim: 2048, bottleneck_dim: 256}\n"
     "  teacher_momentum: 0.996\n  teacher_temp: 0.04\n",
     1.5e-4,
     7.5e-4,
     2e-4,
     1024,  // a quarter of the official 4096, which MAE tolerates (mae#32)
     512,
     384e6,  // 300 epochs of ImageNet: 83.1 % of 83.3 % at 800 (mmpretrain)
     128e6,  // 100 epochs of ImageNet
     "ViT-B, as recipes/imagenet"},
    {0,
     true,
     "  arch: vit_small\n",
     "{embed_dim: 256, depth: 4, num_heads: 8}",  // the official one costs more than this encoder
     "  head: {out_dim: 16384, hidden_dim: 2048, bottleneck_dim: 256}\n"
     "  teacher_momentum: 0.996\n  teacher_temp: 0.04\n",
     5e-4,  // between those of ViT-B and of the narrow network
     5e-4,
     4e-4,
     512,
     256,
     20e6,  // lightly's Imagenette benchmark has 8 million, for 9,500 images
     10e6,
     "ViT-S; ViT-B from 300,000 images on"},
    {0,
     false,
     "  arch: vit_small\n  embed_dim: 192\n  depth: 8\n  num_heads: 3\n",
     "{embed_dim: 128, depth: 2, num_heads: 4}",
     "  head: {out_dim: 1024, hidden_dim: 512, bottleneck_dim: 128}\n"
     "  freeze_last_layer: 0\n  teacher_momentum: 0.99\n  teacher_temp: 0.02\n"
     "  centering: sinkhorn_knopp\n",
     2e-3,
     3e-3,
     1e-3,
     128,
     64,
     560e3,  // 160 epochs of 3,500 images
     175e3,  // 50 epochs of them
     "a narrow ViT, as recipes/small: a processor trains it in an hour or two"},
};

constexpr int64_t kFewestImages = 16;  // two batches of the least size
constexpr int64_t kFewImages = 1000;   // below which the network learns little
constexpr int64_t kLeastBatch = 8;
constexpr int64_t kBatchesInEpoch = 16;  // at the least, where the images are few
constexpr int64_t kFewestEpochs = 20;
constexpr int64_t kMostEpochs = 800;     // recipes/imagenet, lightly's Imagenette benchmark
constexpr int64_t kWarmupShare = 16;     // 10 of 160 epochs (recipes/small)
constexpr int64_t kCheckpointShare = 8;  // 20 of 160
constexpr int64_t kMostBetween = 20;     // epochs between checkpoints
constexpr int64_t kPreviewShare = 4;     // 40 of 160
constexpr int64_t kCoresForGpu = 8;      // with fewer, the GPU would wait for crops

// --- how they are applied ------------------------------------------------------------------------

struct Chosen {
  const SizeRule& size;
  const NetworkRule& network;
  int64_t batch, epochs;
  bool device_augment;
};

// A method: what its recipe holds beside model and train, and which of a network's numbers are its.
struct MethodRule {
  const char* name;
  std::string (*sections)(const Chosen&);
  int64_t NetworkRule::*most_batch;
  double NetworkRule::*images_seen;
  const char* why;
};

int64_t power_of_two_below(int64_t number) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(number)));
}

Chosen apply_rules(const ImageFacts& images,
                   const MachineFacts& machine,
                   const MethodRule& method) {
  const auto& size = *std::find_if(std::begin(kSizes), std::end(kSizes), [&](const auto& rule) {
    return images.short_side >= rule.least_side && (machine.gpu || !rule.gpu);
  });
  const auto& network =
      *std::find_if(std::begin(kNetworks), std::end(kNetworks), [&](const auto& rule) {
        return images.images >= rule.least_images && (machine.gpu || !rule.gpu);
      });
  const int64_t batch = std::clamp(
      power_of_two_below(images.images / kBatchesInEpoch), kLeastBatch, network.*method.most_batch);
  const double epochs_of_all = network.*method.images_seen / static_cast<double>(images.images);
  const auto epochs = std::clamp<int64_t>(std::llround(epochs_of_all), kFewestEpochs, kMostEpochs);
  return {size, network, batch, epochs, machine.gpu && machine.cores < kCoresForGpu};
}

int64_t part_of(int64_t epochs, int64_t part) { return std::max<int64_t>(1, epochs / part); }

std::string mae_sections(const Chosen& c) {
  return fmt::format(
      "mae:\n  mask_ratio: 0.75\n  norm_pix_loss: true\n  decoder: {}\n"
      "augment:\n  scale: [0.2, 1.0]\n  flip: 0.5\n"
      "optimizer:\n  base_lr: {}\n  betas: [0.9, 0.95]\n  weight_decay: 0.05\n"
      "schedule:\n  kind: mae\n",
      c.network.mae_decoder,
      c.network.mae_lr);
}

std::string dino_sections(const Chosen& c) {
  const bool narrow = !c.network.gpu;
  const auto crop = [&](int64_t side, const char* scale) {
    return fmt::format("{{height: {0}, width: {0}{1}{2}}}",
                       side,
                       narrow ? scale : "",
                       c.size.image < 64 ? ", blur: 0" : "");  // recipes/cifar10
  };
  const char* large = ", scale: [0.35, 1.0]";
  return fmt::format(
      "dino:\n  global_crops: 2\n  local_crops: {}\n{}"
      "augment:\n  global_1: {}\n  global_2: {}\n  local: {}\n"
      "optimizer:\n  base_lr: {}\n  betas: [0.9, 0.999]\n  weight_decay: 0.04\n"
      "  weight_decay_end: {}\n  clip_grad: 3.0\n  clip_mode: per_parameter\n"
      "schedule:\n  kind: table\n  min_lr: 1.0e-6\n",
      narrow ? 4 : 8,
      c.network.dino,
      crop(c.size.global_crop, large),
      crop(c.size.global_crop, large),
      crop(c.size.local_crop, ", scale: [0.08, 0.35]"),
      c.network.dino_lr,
      narrow ? 0.2 : 0.4);
}

std::string simmim_sections(const Chosen& c) {
  return fmt::format(
      "simmim:\n  mask_unit: {}\n  mask_ratio: 0.6\n"
      "augment:\n  scale: [0.67, 1.0]\n  flip: 0.5\n"
      "optimizer:\n  base_lr: {}\n  base_batch: 0\n  betas: [0.9, 0.999]\n  weight_decay: 0.05\n"
      "  clip_grad: 5.0\nschedule:\n  kind: table\n  min_lr: 1.0e-5\n",
      2 * c.size.patch,
      c.network.simmim_lr);
}

const MethodRule kMethods[] = {
    {"mae",
     mae_sections,
     &NetworkRule::most_batch,
     &NetworkRule::images_seen,
     "the method that costs least an image and needs no large batch; --objective dino gives "
     "features that serve without fine-tuning"},
    {"dino",
     dino_sections,
     &NetworkRule::most_dino_batch,
     &NetworkRule::dino_images_seen,
     "as asked: its features serve without fine-tuning"},
    {"simmim", simmim_sections, &NetworkRule::most_batch, &NetworkRule::images_seen, "as asked"},
};

// The first one for "".
const MethodRule& method_of(const std::string& objective) {
  std::vector<std::string> names;
  for (const MethodRule& method : kMethods) {
    if (objective.empty() || objective == method.name) return method;
    names.emplace_back(method.name);
  }
  fail_usage("--objective: {} is not one of {}{}; other methods need a --recipe",
             objective,
             fmt::join(names, ", "),
             did_you_mean(objective, names));
}

std::string recipe_text(const Chosen& c, const ImageFacts& images, const MethodRule& method) {
  std::string text = fmt::format("objective: {}\nmodel:\n{}", method.name, c.network.model);
  text += fmt::format("  image_size: [{}]\n  patch_size: {}\n", c.size.image, c.size.patch);
  if (!c.network.gpu) text += "  drop_path: 0\n";
  text += method.sections(c);
  text += fmt::format("  warmup_epochs: {}\n", part_of(c.epochs, kWarmupShare));  // of schedule
  text +=
      fmt::format("train:\n  epochs: {}\n  batch: {}\n  micro_batch: auto\n", c.epochs, c.batch);
  text += fmt::format("output:\n  checkpoint_epochs: {}\n  preview_epochs: {}\n",
                      std::min(part_of(c.epochs, kCheckpointShare), kMostBetween),
                      part_of(c.epochs, kPreviewShare));
  if (c.device_augment) {
    // Twice the side: the smallest crops still have about the network's resolution.
    text += fmt::format("data:\n  device_augment: true\n  canvas: {}\n",
                        images.one_size ? 0 : std::min(images.short_side, 2 * c.size.image));
  }
  return text;
}

}  // namespace

ImageFacts look_at(const Dataset& images, const std::string& path) {
  constexpr int64_t kLookedAt = 100;
  const int64_t count = std::min(images.size(), kLookedAt);
  const auto reader = images.reader();
  std::vector<int64_t> sides;
  std::set<std::pair<int64_t, int64_t>> sizes;
  for (int64_t i = 0; i < count; ++i) {
    try {
      const ImageSize size = reader->open(i * images.size() / count);
      sides.push_back(std::min(size.height, size.width));
      sizes.emplace(size.height, size.width);
    } catch (const Error&) {  // the loader reports it
    }
  }
  require(!sides.empty(), "{}: none of {} images can be read", path, count);
  const auto median = sides.begin() + static_cast<int64_t>(sides.size()) / 2;
  std::nth_element(sides.begin(), median, sides.end());
  return {images.size(), *median, sizes.size() == 1};
}

RecipeChoice choose_recipe(const ImageFacts& images,
                           const MachineFacts& machine,
                           const std::string& objective,
                           const std::string& path) {
  const MethodRule& method = method_of(objective);
  require(images.images >= kFewestImages,
          "{}: {} images are too few to learn from; {} are the least, some thousands make sense",
          path,
          images.images,
          kFewestImages);
  const Chosen c = apply_rules(images, machine, method);
  RecipeChoice choice{recipe_text(c, images, method), {}};
  auto& say = choice.reasons;
  say.push_back(
      fmt::format("{}: {} images, {} px (median short side); {}",
                  path,
                  images.images,
                  images.short_side,
                  machine.gpu ? "a GPU" : fmt::format("{} cores, no GPU", machine.cores)));
  say.push_back(fmt::format("method: {}, {}", method.name, method.why));
  say.push_back(fmt::format("network: {}", c.network.why));
  say.push_back(
      fmt::format("images: {} px in patches of {}, {}", c.size.image, c.size.patch, c.size.why));
  say.push_back(fmt::format("train: {} epochs in batches of {}: {:.3g} images seen{}",
                            c.epochs,
                            c.batch,
                            static_cast<double>(c.epochs * images.images),
                            images.images < kFewImages ? "; with so few, expect little" : ""));
  if (c.device_augment) say.push_back("augment: on the GPU, as there are few cores beside it");
  return choice;
}

}  // namespace previt::cli
