#pragma once

#include <algorithm>
#include <cstdint>

namespace previt {

/// Converts `count` pixels from CMYK as Adobe stores it (255 - ink) to RGB, with Pillow's rounding
/// of c * k / 255.
inline void rgb_of_cmyk(const uint8_t* cmyk, uint8_t* rgb, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[4 * i + c]) * cmyk[4 * i + 3] + 128;
      rgb[3 * i + c] =
          static_cast<uint8_t>(std::max(0, cmyk[4 * i + 3] - (((product >> 8) + product) >> 8)));
    }
  }
}

}  // namespace previt
