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

/// How geometric operations make pixels.
struct Resampling {
  Filter filter = Filter::bicubic;  ///< bilinear, or bicubic for any other
  Fill fill = kImageNetFill;
};

/// Whether an operation is turned round in half of the draws, and about which argument.
enum class Turned {
  never,
  about_0,
  about_1,  ///< blends, where 1 changes nothing; only with a policy that is `increasing`
};

/// One operation of RandAugment (timm:timm/data/auto_augment.py), as a row of their table.
struct RandOperation {
  const char* name;  ///< timm's
  /// Its argument at a level, a tenth of the magnitude: degrees, bits, threshold, factor, or share
  /// of the side, as the operation takes it. Before it is turned.
  double (*argument)(double level, bool increasing);
  Turned turned;
  void (*apply)(Pixels image, double argument, const Resampling& how);  ///< in place
};

/// All rows, in the order in which draws number them.
std::span<const RandOperation> rand_operations();

/// By timm's name ("ShearX", "TranslateXRel", "ColorIncreasing"); throws UsageError.
const RandOperation& rand_operation(const std::string& name);

struct AugmentStep {
  const RandOperation* operation;
  double argument = 0;
};

/// What a policy does to one image. Operations are drawn with replacement, first all of them; then
/// for each: whether, magnitude, whether turned.
std::vector<AugmentStep> draw_steps(const RandAugment& policy, Draws& draws);

}  // namespace previt
