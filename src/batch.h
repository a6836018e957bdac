#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "epoch_plan.h"
#include "options.h"
#include "rand_augment_policy.h"

namespace previt {

/// How a view is cut out of its image (augment/ops/crop.h).
enum class CropKind { random_resized, single_draw, center, resize, none };
constexpr auto enum_names(CropKind) {
  return std::array{"random_resized", "single_draw", "center", "resize", "none"};
}

/// Filters for resampling pixels, as in Pillow.
enum class Interpolation { bicubic, bilinear, lanczos };
constexpr auto enum_names(Interpolation) { return std::array{"bicubic", "bilinear", "lanczos"}; }

/// The form in which an objective wants the float32 pixels of a view.
enum class PixelScale {
  kNormalized,  ///< normalised by NormalizeOptions
  kPlain,       ///< in [0, 1], as torchvision's ToTensor gives them
};

/// One kind of crop that an objective asks the loader for, with everything that is random about it.
/// The defaults are MAE's (mae:main_pretrain.py): random resized crop (0.2, 1), bicubic, flip. The
/// options from `jitter` to `sharpness_factor` belong to the rows of view_operations()
/// (view_ops.h).
struct ViewSpec {
  std::string name = "view";
  int64_t count = 1;                  ///< independent crops of this kind per image
  int64_t height = 224, width = 224;  ///< pixels; 0 in a recipe means model.image_size

  CropKind crop = CropKind::random_resized;
  std::vector<double> scale = {0.2, 1.0};  ///< share of the image's area, lowest and highest
  std::vector<double> ratio = {3.0 / 4, 4.0 / 3};  ///< width over height, lowest and highest
  Interpolation interpolation = Interpolation::bicubic;
  double crop_pct = 224.0 / 256;  ///< for center: the short side is resized to size / crop_pct

  double flip = 0.5;  ///< probability of a horizontal flip
  double jitter = 0;  ///< probability of the colour jitter below
  double brightness = 0.4, contrast = 0.4, saturation = 0.2, hue = 0.1;
  double greyscale = 0;  ///< probability
  double blur = 0;       ///< probability; sigma is uniform in blur_sigma
  std::vector<double> blur_sigma = {0.1, 2.0};
  double solarize = 0;               ///< probability
  int64_t solarize_threshold = 128;  ///< pixels from here on are inverted
  RandAugment rand_augment{};        ///< parsed from a recipe's text as it is read
  double sharpness = 0;              ///< probability; the factor is uniform in sharpness_factor
  std::vector<double> sharpness_factor = {0.1, 1.9};  ///< RandAugment's reach

  /// Names an earlier spec whose crop boxes and flips this one repeats, crop by crop, at its own
  /// size and interpolation (BEiT's tokenizer view); "" for its own. Colour changes are repeated
  /// too, except those whose probability is 0 here.
  std::string same_crop_as{};

  PixelScale pixels = PixelScale::kNormalized;  ///< chosen by the objective, not by a recipe
};
void visit(FieldVisitor& v, ViewSpec& o);

/// The options of a view, as a file records them to show later which view its contents were made
/// from. Operations that are off are left out, so that a new one does not make old files useless.
nlohmann::json view_identity(ViewSpec view);

/// The evaluation view: resize the short side to size / crop_pct, centre crop, nothing random.
ViewSpec evaluation_view(int64_t height,
                         int64_t width,
                         double crop_pct,
                         Interpolation interpolation = Interpolation::bicubic);

/// The pixels that a side of a view of `side` pixels is cut from: side / crop_pct, truncated.
int64_t uncropped_side(int64_t side, double crop_pct);

/// Pixel normalisation, applied on the device: (pixel / 255 - mean) / std per channel.
struct NormalizeOptions {
  std::vector<double> mean = {0.485, 0.456, 0.406};
  std::vector<double> std = {0.229, 0.224, 0.225};
};
void visit(FieldVisitor& v, NormalizeOptions& o);

/// uint8, or float in [0, 1], [B, C, H, W] on any device → float32 [B, C, H, W], contiguous, on
/// `device`. RGB becomes grey if `options` are for one channel. Throws Error if they are for
/// another number of channels than `pixels` has.
at::Tensor normalize(const at::Tensor& pixels, const NormalizeOptions& options, at::Device device);
/// The inverse, for pictures: normalised [B, C, H, W] → pixels in about [0, 1].
at::Tensor denormalize(const at::Tensor& images, const NormalizeOptions& options);

/// What one step sees: B images. A source fills in uint8 views; the trainer converts them to what
/// their specs ask for (to_device).
struct Batch {
  /// One tensor [B, C, H, W] per crop, in the order of the specs. The `count` crops of a spec
  /// follow each other.
  std::vector<at::Tensor> views;
  at::Tensor labels;   ///< [B] int64, -1 where there is none
  at::Tensor indices;  ///< [B] int64, numbers of the samples in the dataset; on the host
  int64_t epoch = 0;
  std::vector<at::Tensor> drawn{};  ///< what was drawn for it ahead, on the device; else empty
};

/// Those of its tensors that belong on the device: views, labels and what is drawn.
std::vector<at::Tensor*> device_tensors(Batch& batch);

/// The first `count` images of a batch, in its memory.
Batch first_images(Batch batch, int64_t count);

/// Moves views and labels to `device` and converts the pixels to what `specs` ask for: float32,
/// contiguous, and grey if `normalize` is for one channel. Throws Error if there are more views
/// than the specs ask for.
Batch to_device(Batch batch,
                const std::vector<ViewSpec>& specs,
                const NormalizeOptions& normalize,
                at::Device device);

/// An endless stream of batches with an exact position. Batches depend only on the seed and the
/// position, not on threads. The engine knows nothing else about data.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual EpochPlan epoch_plan() const = 0;
  int64_t batches_per_epoch() const { return epoch_plan().batches(); }
  int64_t samples_per_epoch() const { return epoch_plan().samples; }
  /// Moves the position to batch `batch` of epoch `epoch`, at little cost.
  virtual void seek(int64_t epoch, int64_t batch) = 0;
  /// The batch at the position, which then moves on (into the next epoch after the last one).
  virtual Batch next() = 0;
  /// Names of the labels, in their order; empty without labels.
  virtual std::vector<std::string> class_names() const { return {}; }
  /// How many samples were skipped, up to now, as unreadable; one that is met again counts once.
  virtual int64_t bad_samples() const { return 0; }
};

}  // namespace previt
