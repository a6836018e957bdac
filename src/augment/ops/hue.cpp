#include <algorithm>
#include <cmath>
#include <cstring>

#include "augment/ops/color.h"
#include "augment/ops/vectorize.h"

namespace previt {
namespace {

// Branch-free conversions of a block of planes, so that the compiler vectorises them. Values are
// whole numbers 0 … 255 held in float.
constexpr int kBlock = 64;
struct Planes {
  alignas(64) float a[kBlock], b[kBlock], c[kBlock];
};

inline float clip8(float v) { return std::min(std::max(v, 0.0f), 255.0f); }

// Truncates a number ≥ 0; round() of a number ≥ 0 is trunc(x + 0.5).
inline float whole(float v) { return static_cast<float>(static_cast<int>(v)); }

inline void hsv_of(float& r, float& g, float& b) {
  const float high = std::max(r, std::max(g, b)), low = std::min(r, std::min(g, b));
  const float range = high - low;
  const float divisor = range > 0 ? range : 1.0f;
  const float rc = (high - r) / divisor, gc = (high - g) / divisor, bc = (high - b) / divisor;
  float sixth = r == high ? bc - gc : (g == high ? 2.0f + rc - bc : 4.0f + gc - rc);
  float hue = sixth / 6.0f + 1.0f;
  hue = hue >= 1.0f ? hue - 1.0f : hue;
  r = range > 0 ? clip8(whole(hue * 255.0f)) : 0.0f;
  g = range > 0 ? clip8(whole(range * 255.0f / high)) : 0.0f;
  b = high;
}

inline void rgb_of(float& h, float& s, float& v) {
  const float position = h * 6.0f / 255.0f;
  const float sector = whole(position);
  const float f = position - sector;
  const float fs = s / 255.0f;
  const float p = whole(v * (1.0f - fs) + 0.5f);
  const float q = whole(v * (1.0f - fs * f) + 0.5f);
  const float t = whole(v * (1.0f - fs * (1.0f - f)) + 0.5f);
  const int i = static_cast<int>(sector);
  // Sectors 0 … 5 (6 is 0 again): v t p, q v p, p v t, p q v, t p v, v p q.
  const float r = (i == 1) ? q : (i == 2 || i == 3) ? p : (i == 4) ? t : v;
  const float g = (i == 0 || i == 6) ? t : (i == 1 || i == 2) ? v : (i == 3) ? q : p;
  const float b = (i == 0 || i == 6 || i == 1) ? p : (i == 2) ? t : (i == 5) ? q : v;
  h = r;
  s = g;
  v = b;
}

inline void load(const uint8_t* pixels, int count, Planes& planes) {
  for (int i = 0; i < count; ++i) {
    planes.a[i] = pixels[3 * i];
    planes.b[i] = pixels[3 * i + 1];
    planes.c[i] = pixels[3 * i + 2];
  }
}

inline void store(const Planes& planes, int count, uint8_t* pixels) {
  for (int i = 0; i < count; ++i) {
    pixels[3 * i] = static_cast<uint8_t>(static_cast<int>(planes.a[i]));
    pixels[3 * i + 1] = static_cast<uint8_t>(static_cast<int>(planes.b[i]));
    pixels[3 * i + 2] = static_cast<uint8_t>(static_cast<int>(planes.c[i]));
  }
}

PREVIT_VECTORIZED void to_hsv(uint8_t* pixels, int64_t count) {
  Planes planes{};
  for (int64_t start = 0; start < count; start += kBlock) {
    const int n = static_cast<int>(std::min<int64_t>(kBlock, count - start));
    load(pixels + 3 * start, n, planes);
    for (int i = 0; i < kBlock; ++i) hsv_of(planes.a[i], planes.b[i], planes.c[i]);
    store(planes, n, pixels + 3 * start);
  }
}

PREVIT_VECTORIZED void to_rgb(uint8_t* pixels, int64_t count) {
  Planes planes{};
  for (int64_t start = 0; start < count; start += kBlock) {
    const int n = static_cast<int>(std::min<int64_t>(kBlock, count - start));
    load(pixels + 3 * start, n, planes);
    for (int i = 0; i < kBlock; ++i) rgb_of(planes.a[i], planes.b[i], planes.c[i]);
    store(planes, n, pixels + 3 * start);
  }
}

PREVIT_VECTORIZED void turn_hue(uint8_t* pixels, int64_t count, float shift) {
  Planes planes{};
  for (int64_t start = 0; start < count; start += kBlock) {
    const int n = static_cast<int>(std::min<int64_t>(kBlock, count - start));
    load(pixels + 3 * start, n, planes);
    for (int i = 0; i < kBlock; ++i) {
      hsv_of(planes.a[i], planes.b[i], planes.c[i]);
      const float turned = planes.a[i] + shift;
      planes.a[i] = turned >= 256.0f ? turned - 256.0f : turned;
      rgb_of(planes.a[i], planes.b[i], planes.c[i]);
    }
    store(planes, n, pixels + 3 * start);
  }
}

}  // namespace

void rgb_to_hsv(Pixels image) {
  if (image.channels == 3) to_hsv(image.data, image.height * image.width);
}

void hsv_to_rgb(Pixels image) {
  if (image.channels == 3) to_rgb(image.data, image.height * image.width);
}

void adjust_hue(Pixels image, double shift) {
  // As torchvision: the shift is truncated to whole steps of 255 a turn, added modulo 256.
  const int steps = static_cast<int>(shift * 255) & 0xFF;
  if (image.channels == 3 && shift != 0)
    turn_hue(image.data, image.height * image.width, static_cast<float>(steps));
}

}  // namespace previt
