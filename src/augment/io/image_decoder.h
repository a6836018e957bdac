#pragma once

#include "augment/dataset/dataset.h"
#include "augment/io/exif.h"
#include "augment/io/image_header.h"
#include "augment/io/jpeg.h"
#include "augment/views.h"

namespace previt {

/// Decodes pictures of any supported format to upright RGB. Grey is repeated, transparency dropped,
/// 16 bits are cut to the upper 8, and EXIF's orientation is applied. Buffers are kept between
/// pictures. Every thread has its own.
class ImageDecoder {
 public:
  /// Reads the header and returns the upright size. `file` must stay valid until the last decode().
  /// Throws Error.
  ImageSize open(Bytes file);
  /// As SampleReader::decode. Formats other than JPEG are decoded whole, once.
  void decode(const Box& box, int64_t reduction, Region& region);

 private:
  void decode_whole();

  JpegDecoder jpeg_;
  Bytes file_;
  ImageHeader header_;
  Orientation orientation_;
  ImageSize size_;  // upright
  Region stored_;   // a JPEG's pixels before its orientation
  Image whole_;     // another format's picture, upright
  bool whole_ready_ = false;
};

/// Copies a box of RGB pixels, whose rows are `stride` bytes apart, into `region`.
void copy_box(const uint8_t* rgb, int64_t stride, const Box& box, Region& region);

}  // namespace previt
