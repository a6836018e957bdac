#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "augment/device_ops.h"
#include "augment/views.h"
#include "batch.h"

namespace previt {

/// Images that lie on a device, of one size: canvases, from which views are cut, or views.
struct ImagesThere {
  int64_t count = 0, height = 0, width = 0;
};

/// k crops of each of B canvases, as they are written down for a device.
struct CutPlan {
  std::vector<AxisLists> axes;  ///< down and across; one for both, in this order, where they match
  Filter filter;
  ImagesThere canvases;
};

/// plans [k·B]: those of the first crop of each image, then those of its second.
CutPlan plan_cut(const ViewSpec& spec,
                 const std::vector<ViewPlan>& plans,
                 const ImagesThere& canvases,
                 DeviceLists& lists);

/// Makes resize_matrices() of axes with so many source pixels each.
using MakeWeights = std::function<at::Tensor(const AxisLists& axes, int64_t pixels)>;

/// Canvases [B, H, 3, W] → crops [B·k, h, 3, w], image by image, in which a filter may have left
/// [0, 1]. Needs no copy of the canvases for each crop.
at::Tensor cut(const CutPlan& plan, const at::Tensor& canvases, const MakeWeights& make_weights);

}  // namespace previt
