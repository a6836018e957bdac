#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "augment/image.h"

namespace previt {

/// Bytes that somebody else owns.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;

  /// The bytes from `offset` on; none past the end.
  Bytes from(size_t offset) const {
    return offset < size ? Bytes{data + offset, size - offset} : Bytes{};
  }
  bool starts_with(const char* text, size_t length) const;
};

bool is_big_tiff(Bytes file);

/// The value of a short or long tag in the first directory of a TIFF structure (EXIF is one) or a
/// BigTIFF; nothing if it isn't there or the structure is damaged.
std::optional<uint32_t> tiff_tag(Bytes tiff, uint16_t tag);

/// EXIF orientation 1 … 8 of a TIFF structure; 1 if it is missing or invalid.
int tiff_orientation(Bytes tiff);

/// EXIF orientation 1 … 8 of a JPEG file; 1 if it is missing or invalid.
int jpeg_orientation(Bytes file);

/// How stored pixels become an upright picture: mirrored along stored rows or columns, then
/// transposed.
struct Orientation {
  explicit Orientation(int exif = 1)
      : mirror_x(exif == 2 || exif == 3 || exif == 7 || exif == 8),
        mirror_y(exif == 3 || exif == 4 || exif == 6 || exif == 7),
        transpose(exif >= 5 && exif <= 8) {}

  bool identity() const { return !mirror_x && !mirror_y && !transpose; }
  /// Upright box → stored box and back; `height` and `width` are the stored image's.
  Box to_stored(Box box, int64_t height, int64_t width) const;
  Box to_upright(Box box, int64_t height, int64_t width) const;
  /// Stored pixels → upright pixels.
  void apply(const Image& stored, Image& upright) const;

  bool mirror_x, mirror_y, transpose;
};

}  // namespace previt
