#pragma once

#include <array>
#include <string>
#include <vector>

#include "augment/image.h"
#include "batch.h"
#include "rand_augment_policy.h"
#include "random.h"

namespace previt {

/// The operations of RandAugment (timm:timm/data/auto_augment.py).
enum class AugmentOp {
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  solarize,
  solarize_add,
  color,
  contrast,
  brightness,
  sharpness,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
};

struct AugmentStep {
  AugmentOp op;
  double argument =
      0;  ///< degrees, bits, threshold, factor, or share of the side, as the op takes it
};

/// What fills pixels from outside the image: ImageNet's mean × 255, rounded.
using Fill = std::array<uint8_t, 3>;
constexpr Fill kImageNetFill = {124, 116, 104};

/// One operation with its argument. Geometric ones resample by `interpolation` (bicubic |
/// bilinear).
void apply(const AugmentStep& step,
           Pixels image,
           Interpolation interpolation,
           const Fill& fill = kImageNetFill);

/// What a policy does to one image. Operations are drawn with replacement, first all of them; then
/// for each: whether, magnitude, sign.
std::vector<AugmentStep> draw_steps(const RandAugment& policy, Draws& draws);

/// The argument of an operation at a magnitude in [0, 10], before the random sign.
double augment_argument(AugmentOp op, double magnitude, bool increasing);

/// timm's name ("ShearX", "TranslateXRel", "ColorIncreasing") → operation; throws UsageError.
AugmentOp augment_op(const std::string& name);

}  // namespace previt
