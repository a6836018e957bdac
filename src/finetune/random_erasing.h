#pragma once

#include <ATen/core/Tensor.h>

#include "random.h"

namespace previt {

/// What erased pixels become: N(0, 1) each, or 0.
enum class ErasedPixels { noise, zero };

/// Which boxes random erasing takes out, and what it puts there (timm:timm/data/random_erasing.py).
struct RandomErasingOptions {
  double min_area = 0.02, max_area = 1.0 / 3;  ///< share of the image, over all boxes
  double min_aspect = 0.3;                     ///< height / width in [min_aspect, 1 / min_aspect]
  int64_t count = 1;                           ///< boxes in an erased image
  ErasedPixels pixels = ErasedPixels::noise;
};

/// Erases boxes in normalised images [B, C, H, W] in place, in each image with this probability,
/// and returns them. A box that doesn't fit is drawn anew, ten times at most. The draws of an
/// image are, in this order: whether it is erased; for each attempt, area and log of the aspect;
/// once a box fits, its top, its left, and the seed of its noise, if any.
at::Tensor random_erasing(at::Tensor images,
                          double probability,
                          Draws& draws,
                          const RandomErasingOptions& options = {});

}  // namespace previt
