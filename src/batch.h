#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "epoch_plan.h"
#include "options.h"

namespace previt {

/// How a view is cut out (ops/crop.h).
enum class CropKind { random_resized, single_draw, center, resize, none };
constexpr auto enum_names(CropKind) {
  return std::array{"random_resized", "single_draw", "center", "resize", "none"};
}

/// Filters for resampling pixels, as Pillow has them.
enum class Interpolation { bicubic, bilinear, lanczos };
constexpr auto enum_names(Interpolation) { return std::array{"bicubic", "bilinear", "lanczos"}; }

/// One kind of crop that an objective asks the loader for, with everything that is random about it.
/// The defaults are MAE's (mae:main_pretrain.py): random resized crop (0.2, 1), bicubic, flip.
struct ViewSpec {
  std::string name = "view";
  int64_t count = 1;                  ///< independent crops of this kind per image
  int64_t height = 224, width = 224;  ///< pixels; 0 in a recipe: those of model.image_size

  CropKind crop = CropKind::random_resized;
  std::vector<double> scale = {0.2, 1.0};
  std::vector<double> ratio = {3.0 / 4, 4.0 / 3};
  Interpolation interpolation = Interpolation::bicubic;
  double crop_pct = 224.0 / 256;  ///< for center: short side is resized to size / crop_pct

  double flip = 0.5;
  double jitter = 0;  ///< probability of the colour jitter below
  double brightness = 0.4, contrast = 0.4, saturation = 0.2, hue = 0.1;
  double greyscale = 0;
  double blur = 0;  ///< probability; sigma is uniform in blur_sigma
  std::vector<double> blur_sigma = {0.1, 2.0};
  double solarize = 0;
  int64_t solarize_threshold = 128;
  std::string rand_augment{};  ///< timm's config string ("rand-m9-mstd0.5-inc1"), "" for none

  /// Names an earlier spec whose crop boxes and flips this one repeats, crop by crop, at its own
  /// size and interpolation (BEiT's tokenizer view); "" for its own. Colour changes are repeated
  /// too, less those whose probability here is 0.
  std::string same_crop_as{};
};
void visit(FieldVisitor& v, ViewSpec& o);

/// The evaluation view: resize the short side to size / crop_pct, centre crop, nothing random.
ViewSpec evaluation_view(int64_t height,
                         int64_t width,
                         double crop_pct,
                         Interpolation interpolation = Interpolation::bicubic);

/// Pixel normalisation, applied on the device: (pixel / 255 - mean) / std per channel.
struct NormalizeOptions {
  std::vector<double> mean = {0.485, 0.456, 0.406};
  std::vector<double> std = {0.229, 0.224, 0.225};
};
void visit(FieldVisitor& v, NormalizeOptions& o);

/// uint8 or float [B, C, H, W] on any device → float32 [B, C, H, W], contiguous, on `device`. RGB
/// becomes grey where `options` are for one channel.
at::Tensor normalize(const at::Tensor& pixels, const NormalizeOptions& options, at::Device device);
/// The inverse, for pictures: normalised [B, C, H, W] → pixels in about [0, 1].
at::Tensor denormalize(const at::Tensor& images, const NormalizeOptions& options);

/// What one step sees. B images; a source fills uint8 views, the trainer normalises them.
struct Batch {
  /// One tensor [B, C, H, W] per crop, in the order of the specs, each spec's `count` crops in a
  /// row.
  std::vector<at::Tensor> views;
  at::Tensor labels;   ///< [B] int64, -1 where there is none
  at::Tensor indices;  ///< [B] int64, the samples' numbers in the dataset; on the host
  int64_t epoch = 0;
};

Batch first_images(Batch batch, int64_t count);

/// Endless stream of batches with an exact position. Batches depend only on the seed and the
/// position, not on threads. The engine knows nothing else about data.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual EpochPlan epoch_plan() const = 0;
  int64_t batches_per_epoch() const { return epoch_plan().batches(); }
  int64_t samples_per_epoch() const { return epoch_plan().samples; }
  /// Continues with this batch of this epoch; cheap.
  virtual void seek(int64_t epoch, int64_t batch) = 0;
  /// The batch at the position, which then moves on (into the next epoch after the last one).
  virtual Batch next() = 0;
  virtual std::vector<std::string> class_names() const { return {}; }
  virtual int64_t bad_samples() const { return 0; }  ///< skipped so far because unreadable
};

}  // namespace previt
