#include "augment/io/image_header.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

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
    constexpr uint32_t kAnimation = 2;
    require((little(chunk, 8, 1) & kAnimation) == 0,
            "an animated WebP, which is not read; save the frame that is meant");
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
      // Some files repeat JPEG's mark here.
      if (exif.starts_with("Exif\0\0", 6)) exif = exif.from(6);
      header.orientation = tiff_orientation(exif);
    }
    // Chunks are padded to an even length.
    at += 8 + length + length % 2;
  }
  return header;
}

ImageHeader tiff_header(Bytes file) {
  ImageHeader header{.format = ImageFormat::kTiff};
  // Tags 257 and 256 are the image's height and width.
  header.stored = {tiff_tag(file, 257).value_or(0), tiff_tag(file, 256).value_or(0)};
  header.orientation = tiff_orientation(file);
  return header;
}

struct OtherFormat {
  const char* name;
  size_t at;               // offset of its mark
  std::string_view marks;  // any of these, separated by spaces
  const char* advice = "";
};

constexpr const char* kConvert = "; convert it to PNG or JPEG";

constexpr OtherFormat kOtherFormats[] = {
    {"a GIF", 0, "GIF87a GIF89a", kConvert},
    {"a JPEG 2000 picture", 4, "jP", kConvert},
    {"a JPEG 2000 picture", 0, "\xFF\x4F\xFF\x51", kConvert},
    {"a JPEG XL picture", 4, "JXL", kConvert},
    {"a JPEG XL picture", 0, "\xFF\x0A", kConvert},
    {"an AVIF picture", 4, "ftypavif ftypavis", kConvert},
    {"a HEIC picture", 4, "ftyphei ftyphev ftypmif1 ftypmsf1", kConvert},
    {"a video", 4, "ftyp"},
    {"a Photoshop picture", 0, "8BPS", kConvert},
    {"a DICOM picture", 128, "DICM", kConvert},
    {"an OpenEXR picture", 0, "v/1\x01", kConvert},
    {"a Radiance picture", 0, "#?RADIANCE #?RGBE", kConvert},
    {"a NetPBM picture", 0, "P1\n P2\n P3\n P4\n P5\n P6\n", kConvert},
    {"an SVG drawing", 0, "<svg <?xml", kConvert},
    {"a PDF", 0, "%PDF", kConvert},
    {"a NumPy array", 0, "\x93NUMPY"},
    {"an archive", 0, "PK\3\4 \x1F\x8B Rar! 7z\xBC\xAF"},
    {"an HDF5 file", 0, "\x89HDF"},
    {"a web page", 0, "<!DOCTYPE <!doctype <html <HTML"},
    {"a pointer of Git LFS", 8, "https://git-lfs", "; git lfs pull fetches the picture"},
};

/// Says what a file of another format is; "" if that isn't known.
std::string other_format(Bytes file) {
  for (const OtherFormat& format : kOtherFormats) {
    const Bytes at = file.from(format.at);
    std::string_view left = format.marks;
    while (!left.empty()) {
      const std::string_view mark = left.substr(0, left.find(' '));
      left.remove_prefix(std::min(left.size(), mark.size() + 1));
      if (at.starts_with(mark.data(), mark.size())) {
        return fmt::format("{}, which is not read{}", format.name, format.advice);
      }
    }
  }
  return "";
}

}  // namespace

ImageHeader read_image_header(Bytes file) {
  if (file.starts_with("\xFF\xD8\xFF", 3)) {
    return {ImageFormat::kJpeg, {}, jpeg_orientation(file)};
  }
  if (file.starts_with("\x89PNG\r\n\x1A\n", 8)) return png_header(file);
  if (file.starts_with("RIFF", 4) && file.from(8).starts_with("WEBP", 4)) return webp_header(file);
  if (file.starts_with("BM", 2)) return bmp_header(file);
  if (file.starts_with("II*\0", 4) || file.starts_with("MM\0*", 4) || is_big_tiff(file)) {
    return tiff_header(file);
  }
  require(file.size > 0, "the file is empty");
  const std::string other = other_format(file);
  require(other.empty(), "{}", other);
  fail("not a JPEG, PNG, WebP, BMP or TIFF picture");
}

}  // namespace previt
