#include "augment/io/webp.h"

#include <webp/decode.h>

#include "augment/io/limits.h"
#include "error.h"

namespace previt {

Image decode_webp(Bytes file) {
  WebPBitstreamFeatures features;
  require(WebPGetFeatures(file.data, file.size, &features) == VP8_STATUS_OK, "damaged WebP");
  check_size({features.height, features.width});
  Image image(features.height, features.width);
  require(WebPDecodeRGBInto(file.data,
                            file.size,
                            image.pixels.data(),
                            image.pixels.size(),
                            static_cast<int>(3 * image.width)) != nullptr,
          "damaged WebP, or the file is cut short");
  return image;
}

}  // namespace previt
