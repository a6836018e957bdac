#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "options.h"
#include "random.h"

namespace previt {

/// One draw for the whole batch, or one for each image.
enum class MixMode { batch, image };
constexpr auto enum_names(MixMode) { return std::array{"batch", "image"}; }

/// CutMix boxes of odd size: as today's timm has them, or one pixel smaller, as in timm 0.3.2,
/// which MAE pins.
enum class BoxRounding { timm, timm_0_3_2 };
constexpr auto enum_names(BoxRounding) { return std::array{"timm", "timm_0.3.2"}; }

/// Mixing of images and labels (timm data/mixup.py). Mixup (arXiv:1710.09412) blends an image with
/// its partner, CutMix (arXiv:1905.04899) pastes a box of the partner into it. The partner of image
/// i of a batch of B is image B-1-i. The defaults are MAE's fine-tuning.
struct MixOptions {
  double mixup = 0.8;        ///< α of Beta(α, α); 0: no mixup
  double cutmix = 1.0;       ///< α of Beta(α, α); 0: no CutMix
  double mix_prob = 1.0;     ///< share of batches (or images) that are mixed at all
  double switch_prob = 0.5;  ///< share of CutMix where both are on
  MixMode mix_mode = MixMode::batch;
  BoxRounding cut_box = BoxRounding::timm;
  bool on() const { return mixup > 0 || cutmix > 0; }
};
void visit(FieldVisitor& v, MixOptions& o);

/// Rows [top, bottom) and columns [left, right).
struct CutBox {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  int64_t area() const { return (bottom - top) * (right - left); }
};

/// The CutMix box centred at (y, x), in pixels. Its sides are √(1 - λ) of the image's, cut off at
/// the image's borders.
CutBox cutmix_box(
    int64_t height, int64_t width, double lambda, int64_t y, int64_t x, BoxRounding rounding);

/// How one image, or a whole batch, is mixed. `lambda` is the share that is kept of its own label.
struct Mix {
  double lambda = 1;
  std::optional<CutBox> box;  ///< pasted from the partner; absent: blended

  /// A CutMix whose λ is the share of the image's pixels outside the box.
  static Mix cut(CutBox box, int64_t height, int64_t width);
};

/// One draw for the batch, or one for each of the `batch` images.
std::vector<Mix> draw_mixes(
    const MixOptions& options, int64_t batch, int64_t height, int64_t width, Draws& draws);

/// images float [B, C, H, W], mixes of size 1 or B → the mixed images, on the same device. The
/// images given stay unchanged.
at::Tensor mix_images(const at::Tensor& images, const std::vector<Mix>& mixes);

/// λ y + (1 - λ) y[partner] for targets y [B, C] and mixes of size 1 or B.
at::Tensor mix_targets(const at::Tensor& targets, const std::vector<Mix>& mixes);

}  // namespace previt
