#pragma once

#include "augment/image.h"
#include "random.h"

namespace previt::test {

/// An RGB picture of random bytes, always the same ones.
inline Image noise(int64_t height, int64_t width) {
  Image image(height, width);
  Random random(5);
  for (auto& value : image.pixels) value = static_cast<uint8_t>(random.integer(0, 256));
  return image;
}

}  // namespace previt::test
