#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "random.h"

namespace previt {

/// The range [low, high) from which a texture draws a number.
struct Span {
  double low, high;
};

/// What a texture may look like; by default anything.
struct TextureChoice {
  std::optional<int64_t> pattern{};          ///< none: any
  Span wavelength = {0.06, 0.3};             ///< share of the picture's side
  std::optional<Span> hue{};                 ///< turns; none: any colour at all
  Span saturation = {0, 1}, value = {0, 1};  ///< used where a hue is given
  Span contrast = {-80,
                   80};  ///< between the two colours, per channel; an object stands out by more
};

/// A pattern of two colours: speckle, stripes, checks, dots, clouds or a gradient.
class Texture {
 public:
  /// Draws pattern, colours, angle and wavelength; `unit` is the picture's side.
  Texture(Draws& draws, double unit, const TextureChoice& choice = {});

  /// Distance of the mean colours, in RGB of 0 … 255.
  float colour_distance(const Texture& other) const;

  /// Writes the pixels x = 0 … width - 1 of row y as RGB, values about in [0, 255].
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

/// A pseudo-random number in [0, 1) made of two integers and a salt.
float hash01(int x, int y, uint32_t salt);

}  // namespace previt
