#include "augment/ops/color.h"

#include <algorithm>
#include <array>
#include <vector>

#include "by_level.h"

namespace previt {
namespace {

using Table = std::array<uint8_t, 256>;

void look_up(Pixels image, const Table& table) {
  for (int64_t i = 0; i < image.size(); ++i) image.data[i] = table[image.data[i]];
}

template <class Function>
Table table_of(Function value) {
  Table table;
  for (int v = 0; v < 256; ++v)
    table[v] = static_cast<uint8_t>(std::clamp<int64_t>(value(v), 0, 255));
  return table;
}

// Pillow's blend: from + factor · (to − from) in single precision, truncated.
PREVIT_INLINE inline uint8_t blend(int from, int to, float factor) {
  const float mixed = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<uint8_t>(std::min(std::max(mixed, 0.0f), 255.0f));
}

Table blend_from(int from, double factor) {
  return table_of([&](int v) { return blend(from, v, static_cast<float>(factor)); });
}

PREVIT_INLINE inline int64_t sum_of_grey(const uint8_t* rgb, int64_t count) {
  int64_t sum = 0;
  constexpr int64_t block = 1 << 16;  // the sum of so many pixels fits into 32 bits
  for (int64_t start = 0; start < count; start += block) {
    uint32_t partial = 0;
    for (int64_t i = start; i < std::min(count, start + block); ++i)
      partial += grey_of(rgb + 3 * i);
    sum += partial;
  }
  return sum;
}

PREVIT_INLINE inline void grey_pixels(uint8_t* rgb, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey_of(rgb + 3 * i);
}

PREVIT_INLINE inline void saturate_pixels(uint8_t* rgb, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t grey = grey_of(rgb + 3 * i);
    for (int c = 0; c < 3; ++c) rgb[3 * i + c] = blend(grey, rgb[3 * i + c], factor);
  }
}

int mean_grey(const Pixels& image) {
  const int64_t count = image.height * image.width;
  int64_t sum = 0;
  if (image.channels == 3) {
    sum = by_level([=](auto) PREVIT_INLINE { return sum_of_grey(image.data, count); });
  } else {
    for (int64_t i = 0; i < count; ++i) sum += image.data[i];
  }
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(count) + 0.5);
}

// One row of a 3×3 smoothing with weights 1 … 5 … 1 (sum 13), rounded, blended with the row itself.
PREVIT_INLINE inline void sharpen_row(const uint8_t* __restrict above,
                                      const uint8_t* __restrict here,
                                      const uint8_t* __restrict below,
                                      int64_t channels,
                                      int64_t count,
                                      float factor,
                                      uint8_t* __restrict out) {
  for (int64_t j = channels; j < count - channels; ++j) {
    const int64_t l = j - channels, r = j + channels;
    const int sum = above[l] + above[j] + above[r] + here[l] + 5 * here[j] + here[r] + below[l] +
                    below[j] + below[r];
    out[j] = blend((2 * sum + 13) / 26, here[j], factor);
  }
}

}  // namespace

void to_greyscale(Pixels image) {
  if (image.channels != 3) return;
  by_level([=](auto) PREVIT_INLINE { grey_pixels(image.data, image.height * image.width); });
}

void adjust_brightness(Pixels image, double factor) {
  if (factor != 1) look_up(image, blend_from(0, factor));
}

void adjust_contrast(Pixels image, double factor) {
  if (factor != 1) look_up(image, blend_from(mean_grey(image), factor));
}

void adjust_saturation(Pixels image, double factor) {
  if (factor == 1 || image.channels != 3) return;
  by_level([=](auto) PREVIT_INLINE {
    saturate_pixels(image.data, image.height * image.width, static_cast<float>(factor));
  });
}

void adjust_sharpness(Pixels image, double factor) {
  const int64_t count = image.width * image.channels;
  thread_local std::vector<uint8_t> original;
  original.assign(image.data, image.data + image.size());
  for (int64_t y = 1; y + 1 < image.height; ++y) {
    const uint8_t* here = original.data() + y * count;
    uint8_t* out = image.row(y);
    by_level([=](auto) PREVIT_INLINE {
      sharpen_row(
          here - count, here, here + count, image.channels, count, static_cast<float>(factor), out);
    });
  }
}

void solarize(Pixels image, int64_t threshold) {
  look_up(image, table_of([&](int v) { return v < threshold ? v : 255 - v; }));
}

void solarize_add(Pixels image, int64_t add, int64_t threshold) {
  look_up(image, table_of([&](int v) { return v < threshold ? v + add : v; }));
}

void posterize(Pixels image, int64_t bits) {
  const int mask = 0xFF & ~((1 << (8 - bits)) - 1);
  look_up(image, table_of([&](int v) { return v & mask; }));
}

void invert(Pixels image) {
  look_up(image, table_of([](int v) { return 255 - v; }));
}

}  // namespace previt
