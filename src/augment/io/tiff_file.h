#pragma once

#include <tiffio.h>

#include <cstdint>
#include <memory>

#include "augment/io/exif.h"

namespace previt {

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using Tiff = std::unique_ptr<TIFF, CloseTiff>;

/// Opens a TIFF in memory, which must outlive the result, at its first picture. Throws Error.
Tiff open_tiff(Bytes file);

/// A tag's value of 16 bits, or libtiff's default.
uint16_t tiff_value(TIFF* tiff, uint32_t tag);

/// Throws Error with what libtiff complained of last in this thread, unless its call went well.
void require_tiff(bool went_well);

}  // namespace previt
