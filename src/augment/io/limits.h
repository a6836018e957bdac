#pragma once

#include "augment/dataset/dataset.h"
#include "error.h"

namespace previt {

/// The number of pixels above which Pillow refuses an image (twice its MAX_IMAGE_PIXELS): a small
/// file that claims more is an attack on the memory.
constexpr int64_t kMostPixels = 178'956'970;

/// Throws Error for an image without a size, or with more pixels than that.
inline void check_size(const ImageSize& size) {
  require(size.height > 0 && size.width > 0, "the header gives no size");
  require(size.height <= kMostPixels / size.width,
          "{} x {} pixels are more than the {} allowed",
          size.width,
          size.height,
          kMostPixels);
}

}  // namespace previt
