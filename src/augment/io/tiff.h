#pragma once

#include "augment/io/exif.h"

namespace previt {

/// Decodes a TIFF's first picture to RGB as it is stored; the caller applies the orientation.
/// Results are Pillow's. Transparency is dropped, not blended, and colours that were multiplied by
/// it are divided again. 16 bits are cut to the upper 8. CMYK counts ink. It reads strips and
/// tiles, samples together or in planes, BigTIFF, and any of libtiff's compressions. Throws Error
/// that says what is damaged or not supported.
Image decode_tiff(Bytes file);

}  // namespace previt
