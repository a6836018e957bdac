#pragma once

#include "augment/dataset/dataset.h"
#include "augment/io/exif.h"

namespace previt {

enum class ImageFormat { kJpeg, kPng, kWebp, kBmp, kTiff };

/// What the first bytes of an image file say.
struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  ImageSize stored{};   ///< before the orientation is applied; not read here for a JPEG
  int orientation = 1;  ///< EXIF's, 1 … 8
};

/// Tells what an image file is by its first bytes. Throws Error if it is none, or ends inside its
/// header.
ImageHeader read_image_header(Bytes file);

}  // namespace previt
