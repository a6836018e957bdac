#pragma once

#include "augment/io/exif.h"

namespace previt {

/// A PNG's pixels as RGB, as stored: palettes looked up, grey repeated, transparency dropped, 16
/// bits cut to the upper 8. Of an animated one the picture that everybody shows. Throws Error on
/// damage and on a file that is cut short.
Image decode_png(Bytes file);

}  // namespace previt
