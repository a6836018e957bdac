#include "augment/ops/rand_augment.h"

#include <algorithm>
#include <cmath>

#include "augment/ops/color.h"
#include "augment/ops/geometric.h"
#include "error.h"

namespace previt {
namespace {

constexpr std::array<const char*, 15> kNames = {
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "SolarizeAdd",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateXRel",
    "TranslateYRel",
};

// Whether the sign of the argument's distance from "no change" is drawn.
bool has_random_sign(AugmentOp op, bool increasing) {
  switch (op) {
    case AugmentOp::rotate:
    case AugmentOp::shear_x:
    case AugmentOp::shear_y:
    case AugmentOp::translate_x:
    case AugmentOp::translate_y:
      return true;
    case AugmentOp::color:
    case AugmentOp::contrast:
    case AugmentOp::brightness:
    case AugmentOp::sharpness:
      return increasing;
    default:
      return false;
  }
}

bool blends(AugmentOp op) { return op >= AugmentOp::color && op <= AugmentOp::sharpness; }

// Blends are mirrored at "no change", 1; the rest at 0.
double negated(AugmentOp op, double argument) {
  return blends(op) ? std::max(0.1, 2 - argument) : -argument;
}

}  // namespace

AugmentOp augment_op(const std::string& name) {
  std::string plain = name;
  const std::string suffix = "Increasing";
  if (plain.size() > suffix.size() && plain.ends_with(suffix))
    plain.resize(plain.size() - suffix.size());
  const auto found = std::find(kNames.begin(), kNames.end(), plain);
  if (found == kNames.end()) fail_usage("rand_augment: no operation named {}", name);
  return static_cast<AugmentOp>(found - kNames.begin());
}

double augment_argument(AugmentOp op, double magnitude, bool increasing) {
  const double level = magnitude / 10;
  switch (op) {
    case AugmentOp::rotate:
      return level * 30;
    case AugmentOp::posterize:
      return increasing ? 4 - std::trunc(level * 4) : std::trunc(level * 4);
    case AugmentOp::solarize: {
      const double threshold = std::min(256.0, std::trunc(level * 256));
      return increasing ? 256 - threshold : threshold;
    }
    case AugmentOp::solarize_add:
      return std::min(128.0, std::trunc(level * 110));
    case AugmentOp::color:
    case AugmentOp::contrast:
    case AugmentOp::brightness:
    case AugmentOp::sharpness:
      return increasing ? 1 + level * 0.9 : level * 1.8 + 0.1;
    case AugmentOp::shear_x:
    case AugmentOp::shear_y:
      return level * 0.3;
    case AugmentOp::translate_x:
    case AugmentOp::translate_y:
      return level * 0.45;
    default:
      return 0;
  }
}

std::vector<AugmentStep> draw_steps(const RandAugment& policy, Draws& draws) {
  constexpr double kUniformAbove = 100;
  std::vector<AugmentOp> chosen;
  for (int64_t i = 0; i < policy.operations; ++i) {
    chosen.push_back(static_cast<AugmentOp>(draws.integer(0, static_cast<int64_t>(kNames.size()))));
  }
  std::vector<AugmentStep> steps;
  for (const AugmentOp op : chosen) {
    if (policy.probability < 1 && !draws.chance(policy.probability)) continue;
    double drawn = policy.magnitude;
    if (policy.deviation > kUniformAbove) {
      drawn = draws.uniform(0, policy.magnitude);
    } else if (policy.deviation > 0) {
      drawn = draws.normal(policy.magnitude, policy.deviation);
    }
    double argument = augment_argument(op, std::clamp(drawn, 0.0, policy.limit), policy.increasing);
    const bool turns = has_random_sign(op, policy.increasing) && draws.chance(0.5);
    if (turns) argument = negated(op, argument);
    steps.push_back({op, argument});
  }
  return steps;
}

void apply(const AugmentStep& step, Pixels image, Interpolation interpolation, const Fill& fill) {
  const double argument = step.argument;
  const auto whole = static_cast<int64_t>(argument);
  const auto transform = [&](const Affine& affine) {
    warp(image, affine, interpolation, fill.data());
  };
  switch (step.op) {
    case AugmentOp::auto_contrast:
      return autocontrast(image);
    case AugmentOp::equalize:
      return equalize(image);
    case AugmentOp::invert:
      return invert(image);
    case AugmentOp::rotate:
      return transform(rotation(argument, image.height, image.width));
    case AugmentOp::posterize:
      return posterize(image, std::clamp<int64_t>(whole, 0, 8));
    case AugmentOp::solarize:
      return solarize(image, whole);
    case AugmentOp::solarize_add:
      return solarize_add(image, whole);
    case AugmentOp::color:
      return adjust_saturation(image, argument);
    case AugmentOp::contrast:
      return adjust_contrast(image, argument);
    case AugmentOp::brightness:
      return adjust_brightness(image, argument);
    case AugmentOp::sharpness:
      return adjust_sharpness(image, argument);
    case AugmentOp::shear_x:
      return transform({.b = argument});
    case AugmentOp::shear_y:
      return transform({.d = argument});
    case AugmentOp::translate_x:
      return transform({.c = argument * static_cast<double>(image.width)});
    case AugmentOp::translate_y:
      return transform({.f = argument * static_cast<double>(image.height)});
  }
}

}  // namespace previt
