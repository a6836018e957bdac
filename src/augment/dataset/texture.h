#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "random.h"

namespace previt {

/// A span that a texture draws a number from.
struct Span {
  double low, high;
};

/// What a texture may look like; by default anything.
struct TextureChoice {
  std::optional<int64_t> pattern{};          ///< none: any
  Span wavelength = {0.06, 0.3};             ///< of the picture's side
  std::optional<Span> hue{};                 ///< turns; none: any colour at all
  Span saturation = {0, 1}, value = {0, 1};  ///< where there is a hue
};

/// A pattern of two colours: speckle, stripes, checks, dots, clouds or a gradient.
class Texture {
 public:
  /// Draws pattern, colours, angle and wavelength; `unit` is the picture's side.
  Texture(Draws& draws, double unit, const TextureChoice& choice = {});

  /// Of the mean colours, in RGB.
  float colour_distance(const Texture& other) const;

  /// RGB, about [0, 255], at these pixels: x = 0 … width-1 of row y.
  void fill_row(int y, int width, float* rgb) const;

 private:
  enum Kind { kSpeckle, kStripes, kChecks, kDots, kClouds, kGradient, kKinds };
  float pattern(float u, float v) const;

  void draw_colours(Draws& draws, const TextureChoice& choice);

  int64_t kind_;
  std::array<float, 3> base_, difference_;
  float cos_, sin_, frequency_, offset_u_, offset_v_, sharpness_;
  uint32_t salt_;
};

/// Pseudo-random in [0, 1) from two integers and a salt.
float hash01(int x, int y, uint32_t salt);

}  // namespace previt
