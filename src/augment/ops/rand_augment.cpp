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

double number_after(const std::string& part, size_t letters, const std::string& config) {
  const std::string digits = part.substr(letters);
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(digits, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (digits.empty() || used != digits.size())
    fail_usage("rand_augment: {}: {} needs a number", config, part);
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
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

RandAugment RandAugment::parse(const std::string& config) {
  const auto parts = split(config, '-');
  if (parts.front() != "rand") fail_usage("rand_augment: {} does not begin with rand", config);
  RandAugment policy;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string& part = parts[i];
    const size_t letters = std::min(part.find_first_of("0123456789"), part.size());
    const std::string key = part.substr(0, letters);
    if (key == "m") {
      policy.magnitude = number_after(part, letters, config);
    } else if (key == "n") {
      policy.operations = static_cast<int64_t>(number_after(part, letters, config));
    } else if (key == "p") {
      policy.probability = number_after(part, letters, config);
    } else if (key == "mstd") {
      policy.deviation = number_after(part, letters, config);
    } else if (key == "mmax") {
      policy.limit = number_after(part, letters, config);
    } else if (key == "inc") {
      policy.increasing = number_after(part, letters, config) != 0;
    } else {
      fail_usage("rand_augment: {}: {} is not one of m, n, p, mstd, mmax, inc with a number",
                 config,
                 part);
    }
  }
  return policy;
}

std::vector<AugmentStep> RandAugment::draw(Draws& draws) const {
  constexpr double kUniformAbove = 100;
  std::vector<AugmentOp> chosen;
  for (int64_t i = 0; i < operations; ++i) {
    chosen.push_back(static_cast<AugmentOp>(draws.integer(0, static_cast<int64_t>(kNames.size()))));
  }
  std::vector<AugmentStep> steps;
  for (const AugmentOp op : chosen) {
    if (probability < 1 && !draws.chance(probability)) continue;
    double drawn = magnitude;
    if (deviation > kUniformAbove) {
      drawn = draws.uniform(0, magnitude);
    } else if (deviation > 0) {
      drawn = draws.normal(magnitude, deviation);
    }
    double argument = augment_argument(op, std::clamp(drawn, 0.0, limit), increasing);
    if (has_random_sign(op, increasing) && draws.chance(0.5)) argument = negated(op, argument);
    steps.push_back({op, argument});
  }
  return steps;
}

void apply(const AugmentStep& step,
           Pixels image,
           const std::string& interpolation,
           const Fill& fill) {
  const double argument = step.argument;
  const auto whole = static_cast<int64_t>(argument);
  const auto transform = [&](const Affine& affine) {
    warp(image, affine, filter_named(interpolation), fill.data());
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
