#pragma once

#include "augment/io/exif.h"

namespace previt {

/// A TIFF's first picture as RGB, as stored (its orientation is the caller's), with Pillow's
/// results: transparency is dropped, not blended, and colours that were multiplied by it are
/// divided again; 16 bits are cut to the upper 8; CMYK as ink. Strips or tiles, together or in
/// planes, any of libtiff's compressions, BigTIFF. Throws Error that says what of it is damaged or
/// not read.
Image decode_tiff(Bytes file);

}  // namespace previt
