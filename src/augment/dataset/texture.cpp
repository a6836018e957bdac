#include "augment/dataset/texture.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace previt {
namespace {

float fraction(float x) { return x - std::floor(x); }
float triangle_wave(float x) { return std::abs(2 * fraction(x) - 1); }

/// Smooth noise in [0, 1]: random values on a lattice, interpolated in between.
float clouds(float u, float v, uint32_t salt) {
  const float fu = std::floor(u), fv = std::floor(v);
  const int x = static_cast<int>(fu), y = static_cast<int>(fv);
  float a = u - fu, b = v - fv;
  a = a * a * (3 - 2 * a);
  b = b * b * (3 - 2 * b);
  const float top = hash01(x, y, salt) * (1 - a) + hash01(x + 1, y, salt) * a;
  const float bottom = hash01(x, y + 1, salt) * (1 - a) + hash01(x + 1, y + 1, salt) * a;
  return top * (1 - b) + bottom * b;
}

}  // namespace

float hash01(int x, int y, uint32_t salt) {
  uint32_t h =
      static_cast<uint32_t>(x) * 0x9E3779B1u + static_cast<uint32_t>(y) * 0x85EBCA77u + salt;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return static_cast<float>((h ^ (h >> 15)) >> 8) * 0x1.0p-24f;
}

Texture::Texture(Draws& draws, double unit, const TextureChoice& choice) {
  kind_ = choice.pattern ? *choice.pattern : draws.integer(0, kKinds);
  draw_colours(draws, choice);
  const double angle = draws.uniform(0, 2 * std::numbers::pi);
  cos_ = static_cast<float>(std::cos(angle));
  sin_ = static_cast<float>(std::sin(angle));
  const Span& wavelength = choice.wavelength;
  frequency_ = static_cast<float>(1 / (unit * draws.uniform(wavelength.low, wavelength.high)));
  offset_u_ = static_cast<float>(draws.uniform(0, 1));
  offset_v_ = static_cast<float>(draws.uniform(0, 1));
  sharpness_ = static_cast<float>(draws.uniform(1, 6));
  salt_ = static_cast<uint32_t>(draws.integer(0, int64_t{1} << 32));
}

void Texture::draw_colours(Draws& draws, const TextureChoice& choice) {
  const auto from = [&](const Span& span) {
    return static_cast<float>(draws.uniform(span.low, span.high));
  };
  if (!choice.hue) {
    for (int c = 0; c < 3; ++c) {
      base_[c] = from({0, 255});
      difference_[c] = from(choice.contrast);
    }
    return;
  }
  const float hue = from(*choice.hue), saturation = from(choice.saturation);
  const float value = 255 * from(choice.value);
  const float lighter = from(choice.contrast);
  for (int c = 0; c < 3; ++c) {
    // As HSV to RGB: a channel loses a clipped triangle wave of the hue.
    const float wave = 3 * triangle_wave(hue + static_cast<float>(c) / 3) - 1;
    base_[c] = value * (1 - saturation * std::clamp(wave, 0.0f, 1.0f));
    difference_[c] = lighter;
  }
}

float Texture::pattern(float u, float v) const {
  switch (kind_) {
    case kSpeckle:
      return clouds(4 * u, 4 * v, salt_);
    case kStripes:
      return std::clamp(0.5f + sharpness_ * (triangle_wave(u) - 0.5f), 0.0f, 1.0f);
    case kChecks:
      return (fraction(u) < 0.5f) != (fraction(v) < 0.5f) ? 1.0f : 0.0f;
    case kDots: {
      const float a = fraction(u) - 0.5f, b = fraction(v) - 0.5f;
      return std::clamp(0.5f + 2 * sharpness_ * (0.3f - std::sqrt(a * a + b * b)), 0.0f, 1.0f);
    }
    case kClouds:
      return 0.65f * clouds(u, v, salt_) + 0.35f * clouds(3 * u, 3 * v, salt_ + 1);
    default:
      return triangle_wave(0.15f * u);
  }
}

float Texture::colour_distance(const Texture& other) const {
  float sum = 0;
  for (int c = 0; c < 3; ++c) {
    const float d = base_[c] + difference_[c] / 2 - other.base_[c] - other.difference_[c] / 2;
    sum += d * d;
  }
  return std::sqrt(sum);
}

void Texture::fill_row(int y, int width, float* rgb) const {
  for (int x = 0; x < width; ++x) {
    const float u = (cos_ * static_cast<float>(x) + sin_ * static_cast<float>(y)) * frequency_;
    const float v = (cos_ * static_cast<float>(y) - sin_ * static_cast<float>(x)) * frequency_;
    const float share = pattern(u + offset_u_, v + offset_v_);
    for (int c = 0; c < 3; ++c) rgb[3 * x + c] = base_[c] + share * difference_[c];
  }
}

}  // namespace previt
