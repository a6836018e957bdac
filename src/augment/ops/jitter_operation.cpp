#include <algorithm>

#include "augment/device_ops.h"
#include "augment/ops/color.h"
#include "augment/ops/jitter.h"
#include "augment/ops/operation.h"

namespace previt {
namespace {

// One of the four changes, for one image and for a batch.
struct JitterStep {
  double Jitter::*amount;
  void (*apply)(Pixels pixels, double amount);
  at::Tensor (*apply_batch)(const at::Tensor& images, const at::Tensor& amounts);
};

// In the order in which Jitter::order numbers them.
constexpr std::array<JitterStep, 4> kJitterSteps = {{
    {&Jitter::brightness, adjust_brightness, adjust_brightness},
    {&Jitter::contrast, adjust_contrast, adjust_contrast},
    {&Jitter::saturation, adjust_saturation, adjust_saturation},
    {&Jitter::hue, adjust_hue, adjust_hue},
}};

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

// One step of some images of a batch.
struct BatchStep {
  const JitterStep* step;
  DeviceLists::List rows, amounts;
};

// Every image has its own order. At each place in the order, images with the same step are changed
// together.
BatchChange plan_jitter(const std::vector<Jitter>& drawn, DeviceLists& lists) {
  std::vector<BatchStep> steps;
  for (size_t place = 0; place < kJitterSteps.size(); ++place) {
    for (size_t s = 0; s < kJitterSteps.size(); ++s) {
      const JitterStep& step = kJitterSteps[s];
      std::vector<double> which, amounts;
      for (size_t i = 0; i < drawn.size(); ++i) {
        if (drawn[i].order[place] != static_cast<int>(s)) continue;
        which.push_back(static_cast<double>(i));
        amounts.push_back(drawn[i].*step.amount);
      }
      steps.push_back({&step, lists.add(which), lists.add(amounts)});
    }
  }
  return [steps](const at::Tensor& images) {
    at::Tensor changed = images.clone();
    for (const auto& [step, rows, amounts] : steps) {
      change_rows(changed, rows, [&](const at::Tensor& some) {
        return step->apply_batch(some, amounts.numbers());
      });
    }
    return changed;
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
