#include "augment/ops/rand_augment.h"

#include <algorithm>
#include <cmath>

#include "augment/ops/color.h"
#include "augment/ops/geometric.h"
#include "error.h"

namespace previt {
namespace {

// Arguments at a level, as timm computes them.
double nothing(double, bool) { return 0; }

double blend_factor(double level, bool increasing) {
  return increasing ? 1 + level * 0.9 : level * 1.8 + 0.1;
}

double kept_bits(double level, bool increasing) {
  return increasing ? 4 - std::trunc(level * 4) : std::trunc(level * 4);
}

double solarize_from(double level, bool increasing) {
  const double threshold = std::min(256.0, std::trunc(level * 256));
  return increasing ? 256 - threshold : threshold;
}

template <void (*change)(Pixels)>
void without_argument(Pixels image, double, const Resampling&) {
  change(image);
}

template <void (*change)(Pixels, double)>
void with_factor(Pixels image, double factor, const Resampling&) {
  change(image, factor);
}

void warp_by(const Affine& affine, Pixels image, const Resampling& how) {
  warp(image, affine, how.filter, how.fill.data());
}

constexpr auto kRandOperations = std::to_array<RandOperation>({
    {"AutoContrast", nothing, Turned::never, without_argument<autocontrast>},
    {"Equalize", nothing, Turned::never, without_argument<equalize>},
    {"Invert", nothing, Turned::never, without_argument<invert>},
    {"Rotate",
     [](double level, bool) { return level * 30; },
     Turned::about_0,
     [](Pixels image, double degrees, const Resampling& how) {
       warp_by(rotation(degrees, image.height, image.width), image, how);
     }},
    {"Posterize",
     kept_bits,
     Turned::never,
     [](Pixels image, double bits, const Resampling&) {
       posterize(image, std::clamp<int64_t>(static_cast<int64_t>(bits), 0, 8));
     }},
    {"Solarize",
     solarize_from,
     Turned::never,
     [](Pixels image, double threshold, const Resampling&) {
       solarize(image, static_cast<int64_t>(threshold));
     }},
    {"SolarizeAdd",
     [](double level, bool) { return std::min(128.0, std::trunc(level * 110)); },
     Turned::never,
     [](Pixels image, double add, const Resampling&) {
       solarize_add(image, static_cast<int64_t>(add));
     }},
    {"Color", blend_factor, Turned::about_1, with_factor<adjust_saturation>},
    {"Contrast", blend_factor, Turned::about_1, with_factor<adjust_contrast>},
    {"Brightness", blend_factor, Turned::about_1, with_factor<adjust_brightness>},
    {"Sharpness", blend_factor, Turned::about_1, with_factor<adjust_sharpness>},
    {"ShearX",
     [](double level, bool) { return level * 0.3; },
     Turned::about_0,
     [](Pixels image, double slope, const Resampling& how) { warp_by({.b = slope}, image, how); }},
    {"ShearY",
     [](double level, bool) { return level * 0.3; },
     Turned::about_0,
     [](Pixels image, double slope, const Resampling& how) { warp_by({.d = slope}, image, how); }},
    {"TranslateXRel",
     [](double level, bool) { return level * 0.45; },
     Turned::about_0,
     [](Pixels image, double share, const Resampling& how) {
       warp_by({.c = share * static_cast<double>(image.width)}, image, how);
     }},
    {"TranslateYRel",
     [](double level, bool) { return level * 0.45; },
     Turned::about_0,
     [](Pixels image, double share, const Resampling& how) {
       warp_by({.f = share * static_cast<double>(image.height)}, image, how);
     }},
});

double drawn_magnitude(const RandAugment& policy, Draws& draws) {
  // timm's convention: a deviation above 100 asks for a uniform magnitude.
  constexpr double kUniformAbove = 100;
  if (policy.deviation > kUniformAbove) return draws.uniform(0, policy.magnitude);
  if (policy.deviation > 0) return draws.normal(policy.magnitude, policy.deviation);
  return policy.magnitude;
}

double turned(const RandOperation& operation, double argument) {
  return operation.turned == Turned::about_1 ? std::max(0.1, 2 - argument) : -argument;
}

}  // namespace

std::span<const RandOperation> rand_operations() { return kRandOperations; }

const RandOperation& rand_operation(const std::string& name) {
  std::string plain = name;
  const std::string suffix = "Increasing";
  if (plain.size() > suffix.size() && plain.ends_with(suffix))
    plain.resize(plain.size() - suffix.size());
  for (const auto& operation : kRandOperations) {
    if (operation.name == plain) return operation;
  }
  fail_usage("rand_augment: no operation named {}", name);
}

std::vector<AugmentStep> draw_steps(const RandAugment& policy, Draws& draws) {
  std::vector<const RandOperation*> chosen;
  for (int64_t i = 0; i < policy.operations; ++i) {
    chosen.push_back(
        &kRandOperations.at(draws.integer(0, static_cast<int64_t>(kRandOperations.size()))));
  }
  std::vector<AugmentStep> steps;
  for (const RandOperation* operation : chosen) {
    if (policy.probability < 1 && !draws.chance(policy.probability)) continue;
    const double magnitude = std::clamp(drawn_magnitude(policy, draws), 0.0, policy.limit);
    double argument = operation->argument(magnitude / 10, policy.increasing);
    const bool may_turn = operation->turned == Turned::about_0 ||
                          (operation->turned == Turned::about_1 && policy.increasing);
    if (may_turn && draws.chance(0.5)) argument = turned(*operation, argument);
    steps.push_back({operation, argument});
  }
  return steps;
}

}  // namespace previt
