#include <algorithm>
#include <numeric>

#include "augment/device_ops.h"
#include "augment/ops/color.h"
#include "augment/ops/jitter.h"
#include "augment/ops/operation.h"

namespace previt {
namespace {

// In the order in which Jitter::order numbers them.
struct JitterStep {
  double Jitter::*amount;
  void (*apply)(Pixels pixels, double amount);
};
constexpr std::array<JitterStep, 4> kJitterSteps = {{{&Jitter::brightness, adjust_brightness},
                                                     {&Jitter::contrast, adjust_contrast},
                                                     {&Jitter::saturation, adjust_saturation},
                                                     {&Jitter::hue, adjust_hue}}};
constexpr int kContrast = 1, kSaturation = 2, kHue = 3;

Jitter draw_jitter(const ViewSpec& view, Draws& draws) {
  const auto factor = [&](double strength) {
    return strength > 0 ? draws.uniform(std::max(0.0, 1 - strength), 1 + strength) : 1;
  };
  Jitter jitter;
  for (int64_t i = 3; i > 0; --i) std::swap(jitter.order[i], jitter.order[draws.integer(0, i + 1)]);
  jitter.brightness = factor(view.brightness);
  jitter.contrast = factor(view.contrast);
  jitter.saturation = factor(view.saturation);
  jitter.hue = view.hue > 0 ? draws.uniform(-view.hue, view.hue) : 0;
  return jitter;
}

// One step but the hue of the images [begin, end), each of which may have another.
struct BatchStep {
  int64_t begin, end;
  DeviceLists::List greys, means, factors;  // of blend_colors()

  void apply(const at::Tensor& images) const {
    blend_colors(images.slice(0, begin, end), greys.numbers(), means.numbers(), factors.numbers());
  }
};

int64_t place_of_hue(const Jitter& jitter) {
  return std::find(jitter.order.begin(), jitter.order.end(), kHue) - jitter.order.begin();
}

BatchStep list_step(const std::vector<Jitter>& jitters,
                    int64_t begin,
                    int64_t end,
                    size_t place,
                    DeviceLists& lists) {
  std::vector<double> greys, means, factors;
  for (int64_t i = begin; i < end; ++i) {
    const int step = jitters[i].order[place];
    greys.push_back(step == kSaturation);
    means.push_back(step == kContrast);
    factors.push_back(jitters[i].*kJitterSteps.at(step).amount);
  }
  return {begin, end, lists.add(greys), lists.add(means), lists.add(factors)};
}

// Every image has its own order. The hue, which costs the most, is turned once for all: each image
// has its steps before it, one after the other with those of others, and the rest behind. Sorted by
// the place of the hue, the images that have a step at a place lie together.
BatchChange plan_jitter(const std::vector<Jitter>& drawn, DeviceLists& lists) {
  std::vector<int64_t> order(drawn.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return place_of_hue(drawn[a]) < place_of_hue(drawn[b]);
  });
  const auto count = static_cast<int64_t>(drawn.size());
  std::vector<Jitter> sorted;
  std::vector<double> from(order.begin(), order.end()), back(count), shifts;
  for (int64_t i = 0; i < count; ++i) {
    sorted.push_back(drawn[order[i]]);
    back[order[i]] = static_cast<double>(i);
    shifts.push_back(sorted.back().hue);
  }
  std::vector<BatchStep> before, after;
  for (int64_t place = 0; place < 4; ++place) {
    const auto with_hue_before = [&](int64_t at) {
      return std::count_if(sorted.begin(), sorted.end(), [&](const Jitter& jitter) {
        return place_of_hue(jitter) < at;
      });
    };
    const int64_t earlier = with_hue_before(place), later = with_hue_before(place + 1);
    if (later < count) before.push_back(list_step(sorted, later, count, place, lists));
    if (earlier > 0) after.push_back(list_step(sorted, 0, earlier, place, lists));
  }
  const bool turns =
      std::any_of(shifts.begin(), shifts.end(), [](double shift) { return shift != 0; });
  return [=, from = lists.add(from), back = lists.add(back), hue = lists.add(shifts)](
             const at::Tensor& images) {
    at::Tensor changed = images.index_select(0, from.indices());
    for (const BatchStep& step : before) step.apply(changed);
    if (turns) changed = turn_hue(changed, hue.numbers());
    for (const BatchStep& step : after) step.apply(changed);
    return changed.index_select(0, back.indices());
  };
}

}  // namespace

Operation jitter_operation() {
  return OperationOf<Jitter>{
      .key = "jitter",
      .draw = [](const ViewSpec& view, Draws& draws) -> std::optional<Jitter> {
        if (!draws.chance(view.jitter)) return std::nullopt;
        return draw_jitter(view, draws);
      },
      .apply =
          [](const ViewSpec&, const Jitter& jitter, Pixels pixels) {
            for (const int s : jitter.order) {
              kJitterSteps.at(s).apply(pixels, jitter.*kJitterSteps.at(s).amount);
            }
          },
      .plan_batch = [](const ViewSpec&,
                       const std::vector<Jitter>& drawn,
                       DeviceLists& lists) { return plan_jitter(drawn, lists); },
  };
}

}  // namespace previt
