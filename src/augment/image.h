#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace previt {

/// 8-bit pixels that somebody else owns: row by row, channels interleaved, 3 for RGB or 1 for grey.
struct Pixels {
  uint8_t* data = nullptr;
  int64_t height = 0, width = 0, channels = 3;

  uint8_t* row(int64_t y) const { return data + y * width * channels; }
  int64_t size() const { return height * width * channels; }
};

/// 8-bit pixels of its own, in the layout of Pixels.
struct Image {
  int64_t height = 0, width = 0, channels = 3;
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int64_t h, int64_t w, int64_t c = 3)
      : height(h), width(w), channels(c), pixels(static_cast<size_t>(h * w * c)) {}

  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
  Pixels view() { return {pixels.data(), height, width, channels}; }
};

/// A region of an image in pixels: rows [top, top + height), columns [left, left + width).
struct Box {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// A region with fractional edges, in pixels: the part of an image that a resize maps onto its
/// output.
struct Window {
  double top = 0, left = 0, height = 0, width = 0;
};

}  // namespace previt
