#pragma once

#include "augment/dataset/dataset.h"
#include "augment/io/exif.h"
#include "augment/io/image_header.h"
#include "augment/io/jpeg.h"
#include "augment/views.h"

namespace previt {

/// Pictures of any supported format as upright RGB: grey is repeated, transparency dropped, 16 bits
/// cut to the upper 8, EXIF orientation applied. Buffers are kept between pictures; a thread has
/// its own.
class ImageDecoder {
 public:
  /// Reads the header; `file` has to stay until the last decode(). Throws Error.
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

/// Copies a box out of RGB pixels whose rows are `stride` bytes apart.
void copy_box(const uint8_t* rgb, int64_t stride, const Box& box, Region& region);

}  // namespace previt
