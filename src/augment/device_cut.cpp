#include "augment/device_cut.h"

namespace previt {

CutPlan plan_cut(const ViewSpec& spec,
                 const std::vector<ViewPlan>& plans,
                 const ImagesThere& canvases,
                 DeviceLists& lists) {
  const size_t images = canvases.count;
  std::vector<Axis> down, across;
  std::vector<bool> upright(plans.size(), false), flipped;
  for (size_t i = 0; i < images; ++i) {
    for (size_t at = i; at < plans.size(); at += images) {
      const auto& [box, window, order] = plans[at].crop;
      down.push_back({window.top, window.height, box.top, box.top + box.height, spec.height});
      across.push_back({window.left, window.width, box.left, box.left + box.width, spec.width});
      flipped.push_back(plans[at].flip);
    }
  }
  CutPlan plan{.axes = {}, .filter = spec.interpolation, .canvases = canvases};
  if (spec.height == spec.width && canvases.height == canvases.width) {
    down.insert(down.end(), across.begin(), across.end());
    upright.insert(upright.end(), flipped.begin(), flipped.end());
    plan.axes = {list_axes(down, upright, lists)};
  } else {
    plan.axes = {list_axes(down, upright, lists), list_axes(across, flipped, lists)};
  }
  return plan;
}

at::Tensor cut(const CutPlan& plan, const at::Tensor& canvases, const MakeWeights& make_weights) {
  const at::Tensor first = make_weights(plan.axes.front(), plan.canvases.height);
  if (plan.axes.size() == 1) {
    const int64_t crops = first.size(0) / 2;
    return resample_crops(canvases, first.slice(0, 0, crops), first.slice(0, crops));
  }
  return resample_crops(canvases, first, make_weights(plan.axes.back(), plan.canvases.width));
}

}  // namespace previt
