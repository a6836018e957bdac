#pragma once

#include <vector>

#include "augment/device_cut.h"

namespace previt {

// How views are made on a device, once for any device: by LibTorch's operators.

/// What a batch's views are made of.
struct ViewSource {
  ImagesThere images;
  bool cuts = true;  ///< out of canvases; else the images are the views, of which the pixels change
};

/// What makes views of one spec, from what prepared() gives of the source's images → float32
/// [k·B, 3, spec.height, spec.width] in [0, 1]. plans [k·B]: those of its first crop of each image,
/// then those of its second. The lists must have been uploaded when it is called.
BatchChange plan_device_views(const ViewSpec& spec,
                              const std::vector<ViewPlan>& plans,
                              const ViewSource& source,
                              DeviceLists& lists);

/// uint8 [B, 3, H, W] as views are made of it: canvases as float32 [B, H, 3, W] in [0, 1], which all
/// specs share, views as they are.
at::Tensor prepared(const at::Tensor& images, bool cuts);

}  // namespace previt
