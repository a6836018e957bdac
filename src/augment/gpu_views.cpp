#include "augment/gpu_views.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "augment/ops/blur.h"
#include "augment/ops/jitter.h"
#include "gpu_launch.h"
#include "gpu_programs.h"
#include "upload.h"

namespace previt {
namespace {

// The operations that the kernels have, in this order.
constexpr auto kFused =
    std::to_array<std::string_view>({"jitter", "greyscale", "blur", "solarize"});

// What the kernels read of a view (Drawn in views.cu).
void list_drawn(const ViewSpec& spec, const ViewPlan& plan, std::vector<double>& numbers) {
  const auto drawn = [&](const char* key) -> const std::any* {
    const auto found = plan.drawn.find(key);
    return found == plan.drawn.end() ? nullptr : &found->second;
  };
  if (const std::any* any = drawn("jitter")) {
    const auto& jitter = std::any_cast<const Jitter&>(*any);
    const std::array amounts{jitter.brightness, jitter.contrast, jitter.saturation, 6 * jitter.hue};
    numbers.insert(numbers.end(), jitter.order.begin(), jitter.order.end());
    for (const int step : jitter.order) numbers.push_back(amounts.at(step));
  } else {
    numbers.insert(numbers.end(), {-1, -1, -1, -1, 0, 0, 0, 0});
  }
  const std::any* blur = drawn("blur");
  const double never = std::numeric_limits<float>::infinity();
  numbers.push_back(drawn("greyscale") != nullptr);
  numbers.push_back(drawn("solarize") ? static_cast<double>(spec.solarize_threshold) / 255 : never);
  numbers.push_back(blur ? box_radius(static_cast<float>(std::any_cast<const double&>(*blur)))
                         : -1.0F);
}

bool fits(const ViewSpec& spec, at::Device device) {
  constexpr int64_t kLongest = 384;  // four lines for each warp fill a block's memory
  if (!device.is_cuda() || std::max(spec.height, spec.width) > kLongest) return false;
  bool any = false;
  for (const ViewOperation& row : view_operations()) {
    if (!row.on(spec)) continue;
    any = true;
    if (std::find(kFused.begin(), kFused.end(), row.key) == kFused.end()) return false;
  }
  return any;
}

// The same views, with all that is drawn often enough to be seen in a few of them, and nothing that
// a rounding can turn round.
ViewSpec for_trial(ViewSpec spec) {
  for (double* probability : {&spec.jitter, &spec.greyscale, &spec.blur, &spec.solarize}) {
    if (*probability > 0) *probability = std::max(*probability, 0.5);
  }
  spec.solarize_threshold = 0;
  spec.same_crop_as = "";
  return spec;
}

GpuTrial trial(const ViewSpec& given, ViewSource source, at::Device device) {
  constexpr int64_t kImages = 32;
  const ViewSpec spec = for_trial(given);
  const int64_t views = kImages * (source.cuts ? std::min<int64_t>(spec.count, 2) : 1);
  source.images.count = source.cuts ? kImages : views;
  std::vector<ViewPlan> plans;
  for (int64_t i = 0; i < views; ++i) {
    Random draws(1, Stream::synthetic, {static_cast<uint64_t>(i)});
    plans.push_back(plan_views({spec}, source.images.height, source.images.width, draws).front());
  }
  // Bytes that a run's generator gave would be missed there.
  const at::Tensor bytes =
      torch::arange(source.images.count * 3 * source.images.height * source.images.width)
          .mul_(2654435761)
          .bitwise_right_shift_(13)
          .to(torch::kUInt8)
          .view({source.images.count, 3, source.images.height, source.images.width});
  const at::Tensor pixels = prepared(upload(bytes, device), source.cuts);
  DeviceLists lists;
  const auto theirs = plan_device_views(spec, plans, source, lists);
  const GpuViews ours(spec, plans, source, lists);
  lists.upload(device);
  return [=](const GpuProgram* program) -> std::vector<at::Tensor> {
    if (program == nullptr) return {theirs(pixels)};
    return {ours.make(*program, gpu_stream(device), pixels)};
  };
}

}  // namespace

GpuViews::GpuViews(const ViewSpec& spec,
                   const std::vector<ViewPlan>& plans,
                   const ViewSource& source,
                   DeviceLists& lists)
    : views_(static_cast<int64_t>(plans.size())),
      height_(spec.height),
      width_(spec.width),
      images_(source.images.count) {
  if (source.cuts) cut_ = plan_cut(spec, plans, source.images, lists);
  std::vector<double> numbers;
  for (const ViewPlan& plan : plans) {
    list_drawn(spec, plan, numbers);
    jittered_ = jittered_ || plan.drawn.contains("jitter");
    blurred_ = blurred_ || plan.drawn.contains("blur");
  }
  drawn_ = lists.add(numbers);
}

std::vector<std::string> gpu_views_defines(const ViewSpec& spec, bool cuts) {
  return {cuts ? "PREVIT_TYPE=float" : "PREVIT_TYPE=unsigned char",
          fmt::format("PREVIT_HEIGHT={}", spec.height),
          fmt::format("PREVIT_WIDTH={}", spec.width)};
}

const GpuProgram* gpu_views_program(const ViewSpec& spec,
                                    const ViewSource& source,
                                    at::Device device) {
  if (!fits(spec, device)) return nullptr;
  static GpuPrograms<std::tuple<std::string, int64_t, int64_t, bool>> programs;
  const std::tuple key{view_identity(spec).dump() + std::to_string(spec.count),
                       source.images.height,
                       source.images.width,
                       source.cuts};
  return programs.find(device, key, [&](at::Device gpu) {
    return tried_gpu_program(fmt::format("views {} of {} x {}", spec.name, spec.height, spec.width),
                             gpu,
                             kGpuViewsSource,
                             gpu_views_defines(spec, source.cuts),
                             [&] { return trial(spec, source, gpu); });
  });
}

}  // namespace previt
