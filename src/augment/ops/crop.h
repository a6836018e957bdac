#pragma once

#include "augment/image.h"
#include "augment/ops/resize.h"
#include "batch.h"
#include "random.h"

namespace previt {

/// Where a view lies in its image. A resize maps `window` onto the view and reads only the pixels
/// of `box`. Random crops are cut out before they are resized, so both are the same. A centre crop
/// is cut out afterwards, so its window has fractional edges and its box a margin for the filter.
struct Crop {
  Box box;
  Window window;
  PassOrder order = PassOrder::columns_first;  ///< of the resize that it stands for
};

/// The crop that is cut out as `box`, then resized to the size of `spec`.
Crop crop_of_box(const Box& box, const ViewSpec& spec);

/// torchvision's RandomResizedCrop. The share of the area is uniform in `scale`; the log of width /
/// height is uniform between the logs of `ratio`. After ten attempts that don't fit, it is the
/// largest central box within `ratio`.
/// Draws per attempt: area share, log ratio; once the size fits: top, left.
Box random_resized_crop(int64_t image_height,
                        int64_t image_width,
                        const std::vector<double>& scale,
                        const std::vector<double>& ratio,
                        Draws& draws);

/// The crop of MAE's linear probe (mae:util/crop.py): the size is drawn once and clamped to the
/// image.
Box single_draw_crop(int64_t image_height,
                     int64_t image_width,
                     const std::vector<double>& scale,
                     const std::vector<double>& ratio,
                     Draws& draws);

/// Resizes the short side to view / crop_pct (the long side is truncated) and cuts out the centre
/// (offsets are rounded half to even). The result is one window of the original image.
Crop center_crop(int64_t image_height,
                 int64_t image_width,
                 int64_t view_height,
                 int64_t view_width,
                 double crop_pct,
                 Interpolation interpolation);

/// The crop that a spec asks for. Throws Error where crop "none" meets an image of another size.
Crop plan_crop(const ViewSpec& spec, int64_t image_height, int64_t image_width, Draws& draws);

}  // namespace previt
