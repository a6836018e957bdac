#include "view_ops.h"

#include <fmt/ranges.h>

#include <array>

#include "batch.h"
#include "error.h"
#include "settings.h"

namespace previt {
namespace {

// Parses `text` into `policy`. Returns what is wrong with it; "" if nothing is.
std::string parse_policy(const std::string& text, RandAugment& policy) {
  try {
    policy = RandAugment::parse(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

constexpr auto kViewOperations = std::to_array<ViewOperation>({
    {.key = "rand_augment",
     .on = [](const ViewSpec& view) { return view.rand_augment.on(); },
     .visit =
         [](FieldVisitor& v, ViewSpec& o) {
           std::string policy = o.rand_augment.config;
           v.field(
               "rand_augment", policy, "timm's config string, for example rand-m9-mstd0.5-inc1");
           v.check("rand_augment", parse_policy(policy, o.rand_augment));
         },
     .named_when_off = true},
    {.key = "jitter",
     .on = [](const ViewSpec& view) { return view.jitter > 0; },
     .visit =
         [](FieldVisitor& v, ViewSpec& o) {
           v.field("jitter", o.jitter, "probability of colour jitter", between(0, 1));
           v.field("brightness", o.brightness, "jitter strength", at_least(0));
           v.field("contrast", o.contrast, "jitter strength", at_least(0));
           v.field("saturation", o.saturation, "jitter strength", at_least(0));
           v.field("hue", o.hue, "jitter strength", between(0, 0.5));
         },
     .named_when_off = true},
    {.key = "greyscale",
     .on = [](const ViewSpec& view) { return view.greyscale > 0; },
     .visit =
         [](FieldVisitor& v, ViewSpec& o) {
           v.field("greyscale", o.greyscale, "probability of a grey view", between(0, 1));
         },
     .named_when_off = true},
    {.key = "blur",
     .on = [](const ViewSpec& view) { return view.blur > 0; },
     .visit =
         [](FieldVisitor& v, ViewSpec& o) {
           v.field("blur", o.blur, "probability of Gaussian blur", between(0, 1));
           v.field("blur_sigma", o.blur_sigma, "lowest and highest sigma in pixels", above(0));
           v.check("blur_sigma", wrong_bounds(o.blur_sigma));
         },
     .named_when_off = true},
    {.key = "solarize",
     .on = [](const ViewSpec& view) { return view.solarize > 0; },
     .visit =
         [](FieldVisitor& v, ViewSpec& o) {
           v.field("solarize", o.solarize, "probability of inverting bright pixels", between(0, 1));
           v.field("solarize_threshold",
                   o.solarize_threshold,
                   "pixels from here on are inverted",
                   between(0, 256));
         },
     .named_when_off = true},
    {.key = "sharpness",
     .on = [](const ViewSpec& view) { return view.sharpness > 0; },
     .visit =
         [](FieldVisitor& v, ViewSpec& o) {
           v.field("sharpness", o.sharpness, "probability of a change of it", between(0, 1));
           v.field("sharpness_factor",
                   o.sharpness_factor,
                   "lowest and highest; 0: smoothed, 1: no change, 2: sharpened",
                   at_least(0));
           v.check("sharpness_factor", wrong_bounds(o.sharpness_factor));
         }},
});

}  // namespace

std::span<const ViewOperation> view_operations() { return kViewOperations; }

std::optional<ChangingSetting> changing_setting(const ViewSpec& view) {
  if (view.flip > 0) return ChangingSetting{"flip", fmt::format("{}", view.flip), "0"};
  for (const auto& operation : view_operations()) {
    if (operation.in_fixed_view || !operation.on(view)) continue;
    const auto value_in = [&](ViewSpec of) {
      SettingsList list;
      operation.visit(list, of);
      return list.settings().front().second;
    };
    // In a default ViewSpec every operation is off.
    const std::string off = value_in({});
    return ChangingSetting{operation.key, value_in(view), off.empty() ? "\"\"" : off};
  }
  return std::nullopt;
}

std::string wrong_bounds(const std::vector<double>& bounds) {
  if (bounds.size() == 2 && bounds.front() <= bounds.back()) return "";
  return fmt::format("[{}] is not the lowest and the highest, like [0.5, 1]",
                     fmt::join(bounds, ", "));
}

}  // namespace previt
