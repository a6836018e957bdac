#pragma once

#include "augment/image.h"

namespace previt {

/// The radius, in pixels, of the box blur that has the variance of a Gaussian after `passes`
/// passes. Its fraction is the weight of the outermost pixels ("extended box", Gwosdek et al.
/// 2011). It is computed in single precision as in Pillow, because its rounding decides ties of the
/// 8-bit results.
float box_radius(float sigma, int passes = 3);
/// The weight of each whole pixel in a box of this radius.
inline double box_weight(double radius) { return 1 / (2 * radius + 1); }

/// Pillow's GaussianBlur, in place: three extended box blurs along rows, then three along columns,
/// each rounded to 8 bits, with edges repeated. `sigma` is in pixels.
void gaussian_blur(Pixels image, double sigma);

}  // namespace previt
