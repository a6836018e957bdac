#pragma once

#include "augment/io/exif.h"

namespace previt {

/// Decodes a BMP to RGB, top row first. It reads 1, 4 and 8 bits with a palette (4 and 8 also
/// run-length encoded), 16 and 32 bits with any masks, and 24 bits. Transparency is dropped. Throws
/// Error on damage and for any other kind.
Image decode_bmp(Bytes file);

}  // namespace previt
