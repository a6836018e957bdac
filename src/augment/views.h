#pragma once

#include <any>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "augment/image.h"
#include "augment/ops/crop.h"
#include "batch.h"
#include "random.h"

namespace previt {

/// Every random decision about one view, drawn before anything is decoded.
struct ViewPlan {
  size_t spec = 0;  ///< index of the spec that this view follows
  Crop crop = {};   ///< in the full image; a decoder needs crop.box only
  bool flip = false;
  /// What was drawn for each operation that happens, by the operation's key. ops/operation.h lists
  /// the types.
  std::map<std::string, std::any, std::less<>> drawn = {};
};

/// Plans all views of one image, in the order of Batch.views: each spec's `count` crops in a row. A
/// spec with `same_crop_as` repeats that spec's plans crop by crop, without the operations that are
/// off in its own. Throws UsageError if `same_crop_as` names no earlier spec, or one with fewer
/// crops. Sizes are in pixels.
std::vector<ViewPlan> plan_views(const std::vector<ViewSpec>& specs,
                                 int64_t image_height,
                                 int64_t image_width,
                                 Draws& draws);

/// The smallest box that holds the boxes of all plans: what has to be decoded. Throws Error without
/// plans.
Box union_of_boxes(const std::vector<ViewPlan>& plans);

/// Part of an image, possibly decoded at reduced scale: `pixels` shows `box` of the full image, and
/// box.height / pixels.height (1, 2, 4, 8) is the reduction. A box may reach past the image's right
/// and lower edge by less than one reduced pixel.
struct Region {
  Image pixels;
  Box box;
};

/// Cuts one view out of a region that holds plan.crop.box: one resize, which also flips, then the
/// operations in their order. `out` gets H·W·C bytes, channels interleaved, with the region's C.
/// Safe to call from several threads at once. Throws Error if the crop lies outside the region.
void render_view(const Region& region, const ViewSpec& spec, const ViewPlan& plan, uint8_t* out);

/// Applies only the operations of a plan, in place.
void apply_operations(const ViewSpec& spec, const ViewPlan& plan, Pixels view);

}  // namespace previt
