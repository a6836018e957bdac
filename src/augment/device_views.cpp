#include "augment/device_views.h"

#include <torch/types.h>

#include "augment/ops/operation.h"

namespace previt {
namespace {

// Crops [B·k, h, 3, w] → views [k·B, 3, h, w].
at::Tensor as_views(const at::Tensor& crops, int64_t images) {
  const int64_t height = crops.size(1), channels = crops.size(2), width = crops.size(3);
  const at::Tensor in_order =
      crops.view({images, -1, height, channels, width}).permute({1, 0, 3, 2, 4});
  at::Tensor views = torch::empty(in_order.sizes(), crops.options());
  torch::clamp_out(views, in_order, 0, 1);
  return views.view({-1, channels, height, width});
}

BatchChange after(BatchChange first, BatchChange then) {
  return [first = std::move(first), then = std::move(then)](const at::Tensor& images) {
    return then(first(images));
  };
}

// The change of the images for which the operation was drawn.
BatchChange plan_drawn(const Operation& operation,
                       const ViewSpec& spec,
                       const std::vector<ViewPlan>& plans,
                       DeviceLists& lists) {
  std::vector<double> which;
  std::vector<std::any> drawn;
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto found = plans[i].drawn.find(operation.key);
    if (found == plans[i].drawn.end()) continue;
    which.push_back(static_cast<double>(i));
    drawn.push_back(found->second);
  }
  return [rows = lists.add(which),
          change = operation.plan_batch(spec, drawn, lists)](const at::Tensor& images) {
    at::Tensor changed = images;  // itself, which belongs to this chain
    change_rows(changed, rows, change);
    return changed;
  };
}

}  // namespace

at::Tensor prepared(const at::Tensor& images, bool cuts) {
  if (!cuts) return images;
  const at::Tensor in_order = images.permute({0, 2, 1, 3});
  at::Tensor canvases = torch::empty(in_order.sizes(), images.options().dtype(torch::kFloat32));
  return torch::div_out(canvases, in_order, torch::scalar_tensor(255));
}

BatchChange plan_device_views(const ViewSpec& spec,
                              const std::vector<ViewPlan>& plans,
                              const ViewSource& source,
                              DeviceLists& lists) {
  BatchChange all = [](const at::Tensor& views) { return views.div(255); };
  if (source.cuts) {
    all = [plan = plan_cut(spec, plans, source.images, lists)](const at::Tensor& canvases) {
      const auto weights = [&](const AxisLists& axes, int64_t pixels) {
        return resize_matrices(axes, pixels, plan.filter, true);
      };
      return as_views(cut(plan, canvases, weights), plan.canvases.count);
    };
  }
  for (const auto& operation : operations()) {
    if (operation.plan_batch) all = after(all, plan_drawn(operation, spec, plans, lists));
  }
  return all;
}

}  // namespace previt
