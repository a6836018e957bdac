#include "augment/ops/geometric.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace previt {
namespace {

// Four neighbours along an axis (clamped to the image), and their weights.
struct Taps {
  std::array<int64_t, 4> at;
  std::array<float, 4> weight;
};

// The cubic has a = -1: Pillow's transforms don't share the kernel of its resize (a = -0.5).
Taps taps_at(double position, int64_t size, Filter filter) {
  const double shifted = position - 0.5;
  const double base = std::floor(shifted);
  const auto d = static_cast<float>(shifted - base);
  Taps taps;
  for (int t = 0; t < 4; ++t) {
    taps.at[t] = std::clamp<int64_t>(static_cast<int64_t>(base) + t - 1, 0, size - 1);
  }
  if (filter == Filter::bilinear) {
    taps.weight = {0, 1 - d, d, 0};
  } else {
    const float d2 = d * d, d3 = d2 * d;
    taps.weight = {-d + 2 * d2 - d3, 1 - 2 * d2 + d3, d + d2 - d3, -d2 + d3};
  }
  return taps;
}

void sample(const Pixels& source, double x, double y, Filter filter, uint8_t* out) {
  const Taps across = taps_at(x, source.width, filter);
  const Taps down = taps_at(y, source.height, filter);
  for (int64_t c = 0; c < source.channels; ++c) {
    float sum = 0;
    for (int t = 0; t < 4; ++t) {
      const uint8_t* row = source.row(down.at[t]) + c;
      float along = 0;
      for (int s = 0; s < 4; ++s) along += across.weight[s] * row[across.at[s] * source.channels];
      sum += down.weight[t] * along;
    }
    out[c] = static_cast<uint8_t>(std::clamp(sum, 0.0f, 255.0f));
  }
}

}  // namespace

Affine rotation(double degrees, int64_t height, int64_t width) {
  const double angle = -degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const double x = static_cast<double>(width) / 2, y = static_cast<double>(height) / 2;
  return {.a = cosine,
          .b = sine,
          .c = x - cosine * x - sine * y,
          .d = -sine,
          .e = cosine,
          .f = y + sine * x - cosine * y};
}

void warp(Pixels image, const Affine& affine, Filter filter, const uint8_t* fill) {
  thread_local std::vector<uint8_t> original;
  original.assign(image.data, image.data + image.size());
  const Pixels source{original.data(), image.height, image.width, image.channels};
  for (int64_t row = 0; row < image.height; ++row) {
    for (int64_t column = 0; column < image.width; ++column) {
      const double h = static_cast<double>(column) + 0.5, v = static_cast<double>(row) + 0.5;
      const double x = affine.a * h + affine.b * v + affine.c;
      const double y = affine.d * h + affine.e * v + affine.f;
      uint8_t* out = image.row(row) + column * image.channels;
      const bool inside = x >= 0 && x < static_cast<double>(image.width) && y >= 0 &&
                          y < static_cast<double>(image.height);
      if (inside) {
        sample(source, x, y, filter, out);
      } else {
        std::copy_n(fill, image.channels, out);
      }
    }
  }
}

void flip_horizontally(Pixels image) {
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* row = image.row(y);
    for (int64_t left = 0, right = image.width - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * image.channels,
                       row + (left + 1) * image.channels,
                       row + right * image.channels);
    }
  }
}

}  // namespace previt
