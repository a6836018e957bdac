#pragma once

#include <memory>

#include "augment/dataset/dataset.h"
#include "augment/io/exif.h"
#include "augment/views.h"

namespace previt {

/// Decodes by libjpeg-turbo and keeps everything between images. Results are Pillow's: accurate
/// DCT, smooth chroma upsampling, CMYK as Adobe stores it (inverted).
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();

  /// Reads the header and returns the stored size. `file` must stay valid until the last decode().
  /// Throws Error.
  ImageSize open(Bytes file);

  /// Decodes at least `box` (inside the image) to RGB, at `1 / reduction` of its size (1, 2, 4, 8).
  /// It reads no more of the file, and transforms no more blocks, than that takes. Inside `box` the
  /// pixels are those of a full decode. In the margin that whole blocks bring along, the chroma may
  /// be off. Throws Error on damage and on a file that is cut short.
  void decode(const Box& box, int64_t reduction, Region& region);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace previt
