#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "augment/image.h"
#include "augment/ops/resize.h"
#include "rand_augment_policy.h"
#include "random.h"

namespace previt {

/// What fills pixels from outside the image: ImageNet's mean × 255, rounded.
using Fill = std::array<uint8_t, 3>;
constexpr Fill kImageNetFill = {124, 116, 104};

/// How geometric operations compute pixels.
struct Resampling {
  Filter filter = Filter::bicubic;  ///< bilinear, or bicubic for any other
  Fill fill = kImageNetFill;
};

/// Whether half of the draws turn an operation round, and about which argument: about 0, `x`
/// becomes `-x`; about 1, it becomes `2 - x`, but at least 0.1.
enum class Turned {
  never,
  about_0,
  about_1,  ///< blends, where 1 changes nothing; only with a policy that is `increasing`
};

/// One operation of RandAugment (Cubuk et al. 2020; timm:timm/data/auto_augment.py), as a row of
/// their table.
struct RandOperation {
  const char* name;  ///< timm's
  /// Its argument, before it is turned, at `level` = magnitude / 10. It is degrees, bits, a
  /// threshold, a factor or a share of the side, as the operation takes it.
  double (*argument)(double level, bool increasing);
  Turned turned;
  void (*apply)(Pixels image, double argument, const Resampling& how);  ///< in place
};

/// All rows, in the order in which draws number them.
std::span<const RandOperation> rand_operations();

/// The row of timm's name ("ShearX", "TranslateXRel", "ColorIncreasing"). Throws UsageError if
/// there is none.
const RandOperation& rand_operation(const std::string& name);

/// One operation that a policy drew, with the argument that it is applied with.
struct AugmentStep {
  const RandOperation* operation;
  double argument = 0;
};

/// What a policy does to one image. All operations are drawn first, with replacement; then, for
/// each: whether it happens, its magnitude, whether it is turned.
std::vector<AugmentStep> draw_steps(const RandAugment& policy, Draws& draws);

}  // namespace previt
