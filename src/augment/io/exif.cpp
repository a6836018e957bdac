#include "augment/io/exif.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace previt {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;

uint32_t number(Bytes bytes, size_t offset, int length, bool big_endian) {
  uint32_t value = 0;
  for (int i = 0; i < length; ++i) {
    const uint32_t byte = bytes.data[offset + i];
    value |= byte << (8 * (big_endian ? length - 1 - i : i));
  }
  return value;
}

}  // namespace

bool Bytes::starts_with(const char* text, size_t length) const {
  return size >= length && std::memcmp(data, text, length) == 0;
}

std::optional<uint32_t> tiff_tag(Bytes tiff, uint16_t tag) {
  const bool big_endian = tiff.starts_with("MM\0*", 4);
  if (!big_endian && !tiff.starts_with("II*\0", 4)) return std::nullopt;
  if (tiff.size < 8) return std::nullopt;
  const Bytes directory = tiff.from(number(tiff, 4, 4, big_endian));
  if (directory.size < 2) return std::nullopt;
  const size_t entries = number(directory, 0, 2, big_endian);
  for (size_t i = 0; i < entries; ++i) {
    const Bytes entry = directory.from(2 + 12 * i);
    if (entry.size < 12) return std::nullopt;
    if (number(entry, 0, 2, big_endian) != tag) continue;
    const uint32_t type = number(entry, 2, 2, big_endian);
    if (type == 3) return number(entry, 8, 2, big_endian);
    if (type == 4) return number(entry, 8, 4, big_endian);
    return std::nullopt;
  }
  return std::nullopt;
}

int tiff_orientation(Bytes tiff) {
  const uint32_t value = tiff_tag(tiff, kOrientationTag).value_or(1);
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

int jpeg_orientation(Bytes file) {
  size_t at = 2;  // after the start-of-image marker
  while (at + 4 <= file.size && file.data[at] == 0xFF) {
    const uint8_t marker = file.data[at + 1];
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return 1;  // the image data begins
    const size_t length = number(file, at + 2, 2, true);
    const Bytes segment = file.from(at + 4);
    if (marker == 0xE1 && segment.starts_with("Exif\0\0", 6)) {
      Bytes tiff = segment.from(6);
      tiff.size = std::min(tiff.size, length > 8 ? length - 8 : 0);
      return tiff_orientation(tiff);
    }
    at += 2 + std::max<size_t>(length, 2);
  }
  return 1;
}

Box Orientation::to_stored(Box box, int64_t height, int64_t width) const {
  if (transpose) {
    std::swap(box.top, box.left);
    std::swap(box.height, box.width);
  }
  if (mirror_y) box.top = height - box.top - box.height;
  if (mirror_x) box.left = width - box.left - box.width;
  return box;
}

Box Orientation::to_upright(Box box, int64_t height, int64_t width) const {
  if (mirror_y) box.top = height - box.top - box.height;
  if (mirror_x) box.left = width - box.left - box.width;
  if (transpose) {
    std::swap(box.top, box.left);
    std::swap(box.height, box.width);
  }
  return box;
}

void Orientation::apply(const Image& stored, Image& upright) const {
  upright.height = transpose ? stored.width : stored.height;
  upright.width = transpose ? stored.height : stored.width;
  upright.channels = 3;
  upright.pixels.resize(stored.pixels.size());
  for (int64_t y = 0; y < stored.height; ++y) {
    const uint8_t* from = stored.row(y);
    const int64_t to_y = mirror_y ? stored.height - 1 - y : y;
    for (int64_t x = 0; x < stored.width; ++x) {
      const int64_t to_x = mirror_x ? stored.width - 1 - x : x;
      uint8_t* to = transpose ? upright.row(to_x) + 3 * to_y : upright.row(to_y) + 3 * to_x;
      to[0] = from[3 * x];
      to[1] = from[3 * x + 1];
      to[2] = from[3 * x + 2];
    }
  }
}

}  // namespace previt
