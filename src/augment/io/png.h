#pragma once

#include "augment/io/exif.h"

namespace previt {

/// Decodes a PNG to RGB as it is stored, without its orientation. Palettes are looked up, grey is
/// repeated, transparency dropped, and 16 bits are cut to the upper 8. An animated PNG gives its
/// default image. Throws Error on damage and on a file that is cut short.
Image decode_png(Bytes file);

}  // namespace previt
