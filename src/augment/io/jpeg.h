#pragma once

#include <memory>

#include "augment/dataset/dataset.h"
#include "augment/io/exif.h"
#include "augment/views.h"

namespace previt {

/// libjpeg-turbo with everything kept between images. Results are Pillow's: accurate DCT, smooth
/// chroma upsampling, CMYK as Adobe stores it (inverted).
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();

  /// Reads the header; `file` has to stay until the last decode(). Throws Error.
  ImageSize open(Bytes file);

  /// RGB of at least `box` (inside the image) at 1/reduction (1, 2, 4, 8). Reads no more of the
  /// file, and transforms no more blocks, than that takes. Inside `box` the pixels are those of
  /// decoding all; the margin that the format's blocks bring along may be off by its chroma. Throws
  /// Error on damage and on a file that is cut short.
  void decode(const Box& box, int64_t reduction, Region& region);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace previt
