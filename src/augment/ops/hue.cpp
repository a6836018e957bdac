#include "augment/ops/color.h"
#include "by_level.h"

namespace previt {
namespace {

// The conversions work without branches on planes of a few pixels, so that the compiler vectorises
// them: nothing is computed in the arm of a conditional. Values are whole numbers 0 … 255.
constexpr int kBlock = 64;
struct Planes {
  alignas(64) int32_t a[kBlock], b[kBlock], c[kBlock];
};

struct Triple {
  int a, b, c;
};

PREVIT_INLINE inline int smaller(int x, int y) { return x < y ? x : y; }
PREVIT_INLINE inline int larger(int x, int y) { return x > y ? x : y; }
PREVIT_INLINE inline float smaller(float x, float y) { return x < y ? x : y; }
PREVIT_INLINE inline float larger(float x, float y) { return x > y ? x : y; }

PREVIT_INLINE inline Triple hsv_of(Triple rgb) {
  const int r = rgb.a, g = rgb.b, b = rgb.c;
  const int high = larger(r, larger(g, b)), low = smaller(r, smaller(g, b));
  const int range = high - low;
  const int red = r == high, green = (g == high) & !red;
  // The two channels whose difference gives the hue, counted from red, green or blue.
  const int from = red ? b : green ? r : g, to = red ? g : green ? b : r;
  const auto sixth = static_cast<float>(red ? 0 : green ? 2 : 4);
  const float divisor = static_cast<float>(larger(range, 1));
  const float turned =
      sixth + static_cast<float>(high - from) / divisor - static_cast<float>(high - to) / divisor;
  const float hue = turned / 6.0f + 1.0f;
  const float wrap = hue >= 1.0f ? 1.0f : 0.0f;
  const float saturation = static_cast<float>(range) * 255.0f / static_cast<float>(larger(high, 1));
  // All bits are set where the pixel has a colour, none for grey: a mask instead of a branch.
  const int coloured = -(range > 0);
  return {static_cast<int>((hue - wrap) * 255.0f) & coloured,
          static_cast<int>(saturation) & coloured,
          high};
}

// Channel n (5, 3, 1 for red, green, blue): the value, less the share of chroma that the hue takes
// off.
PREVIT_INLINE inline int channel_of(float n, float position, float value, float chroma) {
  const float along = n + position;
  const float k = along - (along >= 6.0f ? 6.0f : 0.0f);
  const float share = larger(0.0f, smaller(1.0f, smaller(k, 4.0f - k)));
  return static_cast<int>(value - chroma * share + 0.5f);
}

PREVIT_INLINE inline Triple rgb_of(Triple hsv) {
  const float position = static_cast<float>(hsv.a) * 6.0f / 255.0f;
  const auto value = static_cast<float>(hsv.c);
  const float chroma = value * (static_cast<float>(hsv.b) / 255.0f);
  return {channel_of(5.0f, position, value, chroma),
          channel_of(3.0f, position, value, chroma),
          channel_of(1.0f, position, value, chroma)};
}

// Runs `change` over all pixels, block by block.
template <class Change>
PREVIT_INLINE inline void each_block(uint8_t* pixels, int64_t count, Change change) {
  Planes planes{};
  for (int64_t start = 0; start < count; start += kBlock, pixels += 3 * kBlock) {
    const int n = static_cast<int>(count - start < kBlock ? count - start : kBlock);
    for (int i = 0; i < n; ++i) {
      planes.a[i] = pixels[3 * i];
      planes.b[i] = pixels[3 * i + 1];
      planes.c[i] = pixels[3 * i + 2];
    }
    for (int i = 0; i < kBlock; ++i) {
      const Triple changed = change(Triple{planes.a[i], planes.b[i], planes.c[i]});
      planes.a[i] = changed.a;
      planes.b[i] = changed.b;
      planes.c[i] = changed.c;
    }
    for (int i = 0; i < n; ++i) {
      pixels[3 * i] = static_cast<uint8_t>(planes.a[i]);
      pixels[3 * i + 1] = static_cast<uint8_t>(planes.b[i]);
      pixels[3 * i + 2] = static_cast<uint8_t>(planes.c[i]);
    }
  }
}

// The same with a copy for each level of processor.
template <class Change>
void change_pixels(Pixels image, Change change) {
  if (image.channels != 3) return;
  by_level([=](auto) PREVIT_INLINE { each_block(image.data, image.height * image.width, change); });
}

}  // namespace

void rgb_to_hsv(Pixels image) {
  change_pixels(image, [](Triple rgb) PREVIT_INLINE { return hsv_of(rgb); });
}

void hsv_to_rgb(Pixels image) {
  change_pixels(image, [](Triple hsv) PREVIT_INLINE { return rgb_of(hsv); });
}

void adjust_hue(Pixels image, double shift) {
  if (shift == 0) return;
  // As in torchvision, the shift is truncated to whole steps, 255 to a turn, and added modulo 256.
  const int steps = static_cast<int>(shift * 255) & 0xFF;
  change_pixels(image, [steps](Triple rgb) PREVIT_INLINE {
    Triple hsv = hsv_of(rgb);
    hsv.a = (hsv.a + steps) & 0xFF;
    return rgb_of(hsv);
  });
}

}  // namespace previt
