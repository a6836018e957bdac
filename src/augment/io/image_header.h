#pragma once

#include "augment/dataset/dataset.h"
#include "augment/io/exif.h"

namespace previt {

enum class ImageFormat { kJpeg, kPng, kWebp, kBmp, kTiff };

struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  ImageSize stored{};   ///< as stored, before the orientation; of a JPEG not read here
  int orientation = 1;  ///< EXIF
};

/// What an image file is, by its first bytes. Throws Error if it is none, or ends inside its
/// header.
ImageHeader read_image_header(Bytes file);

}  // namespace previt
