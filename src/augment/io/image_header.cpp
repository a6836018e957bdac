#include "augment/io/image_header.h"

#include <cstdlib>

#include "error.h"

namespace previt {
namespace {

uint32_t little(Bytes bytes, size_t at, int length) {
  require(at + length <= bytes.size, "the file ends inside its header");
  uint32_t value = 0;
  for (int i = 0; i < length; ++i) value |= uint32_t{bytes.data[at + i]} << (8 * i);
  return value;
}

uint32_t big(Bytes bytes, size_t at) {
  require(at + 4 <= bytes.size, "the file ends inside its header");
  const uint8_t* b = bytes.data + at;
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
}

ImageHeader png_header(Bytes file) {
  ImageHeader header{ImageFormat::kPng, {big(file, 20), big(file, 16)}};
  for (size_t at = 8; at + 12 <= file.size;) {
    const size_t length = big(file, at);
    const Bytes chunk = file.from(at + 4);
    if (chunk.starts_with("IDAT", 4)) break;
    if (chunk.starts_with("eXIf", 4)) header.orientation = tiff_orientation(chunk.from(4));
    at += 12 + length;
  }
  return header;
}

ImageHeader bmp_header(Bytes file) {
  ImageHeader header{.format = ImageFormat::kBmp};
  if (little(file, 14, 4) == 12) {
    header.stored = {little(file, 20, 2), little(file, 18, 2)};
  } else {  // a negative height means that the rows run from top to bottom
    const int64_t height = static_cast<int32_t>(little(file, 22, 4));
    header.stored = {std::abs(height), static_cast<int32_t>(little(file, 18, 4))};
  }
  return header;
}

ImageHeader webp_header(Bytes file) {
  ImageHeader header{.format = ImageFormat::kWebp};
  const Bytes chunk = file.from(12);
  if (chunk.starts_with("VP8X", 4)) {
    header.stored = {little(chunk, 15, 3) + 1, little(chunk, 12, 3) + 1};
  } else if (chunk.starts_with("VP8L", 4)) {
    const uint32_t bits = little(chunk, 9, 4);
    header.stored = {((bits >> 14) & 0x3FFF) + 1, (bits & 0x3FFF) + 1};
  } else {
    require(chunk.starts_with("VP8 ", 4), "not a WebP picture");
    header.stored = {little(chunk, 16, 2) & 0x3FFF, little(chunk, 14, 2) & 0x3FFF};
  }
  for (size_t at = 12; at + 8 <= file.size;) {
    const size_t length = little(file, at + 4, 4);
    if (file.from(at).starts_with("EXIF", 4)) {
      Bytes exif = file.from(at + 8);
      if (exif.starts_with("Exif\0\0", 6)) exif = exif.from(6);
      header.orientation = tiff_orientation(exif);
    }
    at += 8 + length + length % 2;
  }
  return header;
}

ImageHeader tiff_header(Bytes file) {
  ImageHeader header{.format = ImageFormat::kTiff};
  header.stored = {tiff_tag(file, 257).value_or(0), tiff_tag(file, 256).value_or(0)};
  header.orientation = tiff_orientation(file);
  return header;
}

}  // namespace

ImageHeader read_image_header(Bytes file) {
  if (file.starts_with("\xFF\xD8\xFF", 3)) {
    return {ImageFormat::kJpeg, {}, jpeg_orientation(file)};
  }
  if (file.starts_with("\x89PNG\r\n\x1A\n", 8)) return png_header(file);
  if (file.starts_with("RIFF", 4) && file.from(8).starts_with("WEBP", 4)) return webp_header(file);
  if (file.starts_with("BM", 2)) return bmp_header(file);
  if (file.starts_with("II*\0", 4) || file.starts_with("MM\0*", 4)) return tiff_header(file);
  require(file.size > 0, "the file is empty");
  fail("not a JPEG, PNG, WebP, BMP or TIFF picture");
}

}  // namespace previt
