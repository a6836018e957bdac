#pragma once

#include "augment/image.h"
#include "by_level.h"

namespace previt {

// Pillow's 8-bit colour operations, in place. A factor of 1 changes nothing. One-channel images are
// their own grey, so saturation and hue leave them as they are.

void to_greyscale(Pixels image);                      ///< all three channels become the grey
void adjust_brightness(Pixels image, double factor);  ///< blends with black
void adjust_contrast(Pixels image, double factor);    ///< blends with the mean grey, rounded
void adjust_saturation(Pixels image, double factor);  ///< blends with the grey
void adjust_sharpness(Pixels image, double factor);   ///< blends with a 3×3 smoothing
void adjust_hue(Pixels image, double shift);          ///< shift in turns, through 8-bit HSV
void solarize(Pixels image, int64_t threshold);       ///< inverts values from `threshold` on
void solarize_add(Pixels image, int64_t add, int64_t threshold = 128);  ///< adds to values below
void posterize(Pixels image, int64_t bits);  ///< keeps the highest `bits` (0 … 8)
void invert(Pixels image);
void autocontrast(Pixels image);  ///< stretches each channel to 0 … 255
void equalize(Pixels image);      ///< flattens each channel's histogram

/// Pillow's grey of RGB: 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, rounded.
PREVIT_INLINE inline uint8_t grey_of(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
}

/// Convert 8-bit RGB to HSV and back as Pillow does, in place.
void rgb_to_hsv(Pixels image);
void hsv_to_rgb(Pixels image);

}  // namespace previt
