#include "augment/io/exif.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace previt {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;

uint64_t number(Bytes bytes, size_t offset, int length, bool big_endian) {
  uint64_t value = 0;
  for (int i = 0; i < length; ++i) {
    const uint64_t byte = bytes.data[offset + i];
    value |= byte << (8 * (big_endian ? length - 1 - i : i));
  }
  return value;
}

}  // namespace

bool Bytes::starts_with(const char* text, size_t length) const {
  return size >= length && std::memcmp(data, text, length) == 0;
}

bool is_big_tiff(Bytes file) {
  return file.starts_with("II+\0\b\0\0\0", 8) || file.starts_with("MM\0+\0\b\0\0", 8);
}

std::optional<uint32_t> tiff_tag(Bytes tiff, uint16_t tag) {
  const bool classic = tiff.starts_with("MM\0*", 4) || tiff.starts_with("II*\0", 4);
  if ((!classic && !is_big_tiff(tiff)) || tiff.size < 16) return std::nullopt;
  const bool big_endian = tiff.data[0] == 'M';
  // In a BigTIFF, offsets and counts have 8 bytes.
  const Bytes directory =
      tiff.from(classic ? number(tiff, 4, 4, big_endian) : number(tiff, 8, 8, big_endian));
  const size_t head = classic ? 2 : 8, entry_size = classic ? 12 : 20;
  if (directory.size < head) return std::nullopt;
  const uint64_t entries = number(directory, 0, classic ? 2 : 8, big_endian);
  for (uint64_t i = 0; i < entries; ++i) {
    const Bytes entry = directory.from(head + entry_size * i);
    if (entry.size < entry_size) return std::nullopt;
    if (number(entry, 0, 2, big_endian) != tag) continue;
    const uint64_t type = number(entry, 2, 2, big_endian);
    // TIFF's types 3 and 4 are whole numbers of 2 and 4 bytes.
    if (type != 3 && type != 4) return std::nullopt;
    const int length = type == 3 ? 2 : 4;
    return static_cast<uint32_t>(number(entry, entry_size - (classic ? 4 : 8), length, big_endian));
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
      // The segment's length includes its own 2 bytes and the mark's 6.
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
