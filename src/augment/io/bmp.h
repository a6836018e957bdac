#pragma once

#include "augment/io/exif.h"

namespace previt {

/// A BMP's pixels as RGB, top row first: 1, 4 and 8 bits with a palette (also run-length encoded),
/// 16 and 32 bits with any masks, 24 bits; transparency is dropped. Throws Error.
Image decode_bmp(Bytes file);

}  // namespace previt
