#include "augment/views.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "augment/ops/operation.h"
#include "augment/ops/resize.h"
#include "error.h"

namespace previt {
namespace {

ViewPlan draw_plan(const ViewSpec& spec, int64_t image_height, int64_t image_width, Draws& draws) {
  ViewPlan plan;
  // The order of these draws is part of what a seed means.
  plan.crop = plan_crop(spec, image_height, image_width, draws);
  plan.flip = spec.flip > 0 && draws.chance(spec.flip);
  for (const auto& operation : operations()) {
    if (!operation.row->on(spec)) continue;
    std::any drawn = operation.draw(spec, draws);
    if (drawn.has_value()) plan.drawn.emplace(operation.key, std::move(drawn));
  }
  return plan;
}

ViewPlan repeat(ViewPlan plan, const ViewSpec& spec) {
  for (const auto& operation : operations()) {
    if (!operation.row->on(spec)) plan.drawn.erase(operation.key);
  }
  return plan;
}

// Index of the first plan of the spec that `wanting` repeats.
size_t first_plan_of(const std::vector<ViewSpec>& specs, const ViewSpec& wanting) {
  size_t first = 0;
  for (const auto& spec : specs) {
    if (&spec == &wanting) break;
    if (spec.name == wanting.same_crop_as) {
      if (spec.count >= wanting.count) return first;
      fail_usage("view {}: {} has only {} crops to repeat", wanting.name, spec.name, spec.count);
    }
    first += static_cast<size_t>(spec.count);
  }
  fail_usage("view {}: same_crop_as: no view named {} comes before it",
             wanting.name,
             wanting.same_crop_as);
}

}  // namespace

std::vector<ViewPlan> plan_views(const std::vector<ViewSpec>& specs,
                                 int64_t image_height,
                                 int64_t image_width,
                                 Draws& draws) {
  std::vector<ViewPlan> plans;
  for (size_t s = 0; s < specs.size(); ++s) {
    const ViewSpec& spec = specs[s];
    const size_t repeated = spec.same_crop_as.empty() ? 0 : first_plan_of(specs, spec);
    for (int64_t crop = 0; crop < spec.count; ++crop) {
      plans.push_back(spec.same_crop_as.empty() ? draw_plan(spec, image_height, image_width, draws)
                                                : repeat(plans[repeated + crop], spec));
      plans.back().spec = s;
    }
  }
  return plans;
}

Box union_of_boxes(const std::vector<ViewPlan>& plans) {
  require(!plans.empty(), "a union of no boxes");
  Box all = plans.front().crop.box;
  for (const auto& plan : plans) {
    const Box& box = plan.crop.box;
    const int64_t bottom = std::max(all.top + all.height, box.top + box.height);
    const int64_t right = std::max(all.left + all.width, box.left + box.width);
    all.top = std::min(all.top, box.top);
    all.left = std::min(all.left, box.left);
    all.height = bottom - all.top;
    all.width = right - all.left;
  }
  return all;
}

void render_view(const Region& region, const ViewSpec& spec, const ViewPlan& plan, uint8_t* out) {
  const double shrink_y =
      static_cast<double>(region.box.height) / static_cast<double>(region.pixels.height);
  const double shrink_x =
      static_cast<double>(region.box.width) / static_cast<double>(region.pixels.width);
  const auto [top, left, height, width] = plan.crop.window;
  const Window window{(top - static_cast<double>(region.box.top)) / shrink_y,
                      (left - static_cast<double>(region.box.left)) / shrink_x,
                      height / shrink_y,
                      width / shrink_x};

  const Box& box = plan.crop.box;
  // The decoded pixels that plan.crop.box touches, even in part.
  const auto first = [](int64_t edge, double shrink) {
    return std::max<int64_t>(0,
                             static_cast<int64_t>(std::floor(static_cast<double>(edge) / shrink)));
  };
  const auto last = [](int64_t edge, double shrink, int64_t size) {
    return std::min(size, static_cast<int64_t>(std::ceil(static_cast<double>(edge) / shrink)));
  };
  Box limits{.top = first(box.top - region.box.top, shrink_y),
             .left = first(box.left - region.box.left, shrink_x)};
  limits.height =
      last(box.top + box.height - region.box.top, shrink_y, region.pixels.height) - limits.top;
  limits.width =
      last(box.left + box.width - region.box.left, shrink_x, region.pixels.width) - limits.left;
  require(limits.height > 0 && limits.width > 0,
          "render_view: the crop lies outside the decoded region");

  const Pixels view{out, spec.height, spec.width, region.pixels.channels};
  resize(region.pixels, window, limits, spec.interpolation, plan.crop.order, plan.flip, view);
  apply_operations(spec, plan, view);
}

void apply_operations(const ViewSpec& spec, const ViewPlan& plan, Pixels view) {
  for (const auto& operation : operations()) {
    const auto drawn = plan.drawn.find(operation.key);
    if (drawn != plan.drawn.end()) operation.apply(spec, drawn->second, view);
  }
}

}  // namespace previt
