#pragma once

#include "augment/image.h"

namespace previt {

/// The radius of the box that, applied `passes` times, has the variance of a Gaussian. Its fraction
/// is the weight of the outermost pixels ("extended box", Gwosdek and others 2011), as in Pillow,
/// in single precision as there: its rounding decides ties of the 8-bit results.
float box_radius(float sigma, int passes = 3);

/// Pillow's GaussianBlur: three extended box blurs along rows, then three along columns, each
/// rounded to 8 bits, edges repeated. In place.
void gaussian_blur(Pixels image, double sigma);

}  // namespace previt
