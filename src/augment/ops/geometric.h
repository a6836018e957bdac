#pragma once

#include "augment/image.h"
#include "augment/ops/resize.h"

namespace previt {

/// The output at (x, y) shows the source at (a·x + b·y + c, d·x + e·y + f), in pixels, with the
/// centres of pixels at halves.
struct Affine {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

Affine rotation(double degrees,
                int64_t height,
                int64_t width);  ///< counter-clockwise about the centre

/// Pillow's transform, in place, without antialiasing: bilinear, or bicubic (a = -1) for any other
/// filter. Pixels whose centre falls outside the source become `fill` (one value per channel).
void warp(Pixels image, const Affine& affine, Filter filter, const uint8_t* fill);

void flip_horizontally(Pixels image);

}  // namespace previt
