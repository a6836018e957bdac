#pragma once

#include <array>
#include <vector>

#include "augment/image.h"
#include "augment/ops/crop.h"
#include "augment/ops/rand_augment.h"
#include "batch.h"
#include "random.h"

namespace previt {

/// Factors of one colour jitter and the order in which they are applied.
struct JitterPlan {
  bool on = false;
  std::array<int, 4> order = {0, 1, 2, 3};  ///< 0 brightness, 1 contrast, 2 saturation, 3 hue
  double brightness = 1, contrast = 1, saturation = 1, hue = 0;
};

/// Every random decision about one view, drawn before anything is decoded.
struct ViewPlan {
  size_t spec = 0;  ///< which of the specs this view is of
  Crop crop = {};   ///< in the full image; a decoder needs crop.box only
  bool flip = false;
  JitterPlan jitter = {};
  bool greyscale = false;
  double blur_sigma = 0;  ///< 0 for none
  bool solarize = false;
  std::vector<AugmentStep> rand_augment = {};
};

/// Plans all views of one image, in the order of Batch.views: each spec's `count` crops in a row.
/// A spec with `same_crop_as` repeats that spec's plans, crop by crop, less the colour changes
/// whose own probability is 0. Throws UsageError where it names no spec before it, or one with
/// fewer crops.
std::vector<ViewPlan> plan_views(const std::vector<ViewSpec>& specs,
                                 int64_t image_height,
                                 int64_t image_width,
                                 Draws& draws);

/// The smallest box that holds the boxes of all plans: what has to be decoded.
Box union_of_boxes(const std::vector<ViewPlan>& plans);

/// Part of an image, possibly decoded at reduced scale: `pixels` shows `box` of the full image, and
/// box.height / pixels.height (1, 2, 4, 8) is the reduction. A box may reach past the image's right
/// and lower edge by less than one reduced pixel.
struct Region {
  Image pixels;
  Box box;
};

/// Cuts one view out of a region that holds plan.crop.box, into H·W·C bytes, channels interleaved
/// (C is the region's): one resize, flip, then the colour changes in the order RandAugment, jitter,
/// greyscale, blur, solarize. Called by any number of threads at once.
void render_view(const Region& region, const ViewSpec& spec, const ViewPlan& plan, uint8_t* out);

/// The colour changes of a plan alone, in place.
void apply_colors(const ViewSpec& spec, const ViewPlan& plan, Pixels view);

}  // namespace previt
