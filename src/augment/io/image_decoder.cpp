#include "augment/io/image_decoder.h"

#include <cstring>
#include <utility>

#include "augment/io/bmp.h"
#include "augment/io/limits.h"
#include "augment/io/png.h"
#include "augment/io/tiff.h"
#include "augment/io/webp.h"
#include "error.h"

namespace previt {
namespace {

Image decode_stored(ImageFormat format, Bytes file) {
  switch (format) {
    case ImageFormat::kPng:
      return decode_png(file);
    case ImageFormat::kTiff:
      return decode_tiff(file);
    case ImageFormat::kWebp:
      return decode_webp(file);
    case ImageFormat::kBmp:
      return decode_bmp(file);
    case ImageFormat::kJpeg:
      break;  // decoded box by box
  }
  fail("a format that is not decoded whole");
}

}  // namespace

ImageSize ImageDecoder::open(Bytes file) {
  file_ = file;
  whole_ready_ = false;
  header_ = read_image_header(file);
  orientation_ = Orientation(header_.orientation);
  if (header_.format == ImageFormat::kJpeg) header_.stored = jpeg_.open(file);
  check_size(header_.stored);
  size_ = header_.stored;
  if (orientation_.transpose) std::swap(size_.height, size_.width);
  return size_;
}

void ImageDecoder::decode(const Box& box, int64_t reduction, Region& region) {
  if (header_.format != ImageFormat::kJpeg) {
    if (!whole_ready_) decode_whole();
    copy_box(whole_.pixels.data(), 3 * whole_.width, box, region);
    return;
  }
  if (orientation_.identity()) {
    jpeg_.decode(box, reduction, region);
    return;
  }
  const auto [height, width] = header_.stored;
  jpeg_.decode(orientation_.to_stored(box, height, width), reduction, stored_);
  orientation_.apply(stored_.pixels, region.pixels);
  region.box = orientation_.to_upright(stored_.box, height, width);
}

void ImageDecoder::decode_whole() {
  Image stored = decode_stored(header_.format, file_);
  if (orientation_.identity()) {
    whole_ = std::move(stored);
  } else {
    orientation_.apply(stored, whole_);
  }
  require(ImageSize{whole_.height, whole_.width} == size_,
          "the picture is not of its header's size");
  whole_ready_ = true;
}

void copy_box(const uint8_t* rgb, int64_t stride, const Box& box, Region& region) {
  auto& pixels = region.pixels;
  pixels.height = box.height;
  pixels.width = box.width;
  pixels.channels = 3;
  pixels.pixels.resize(static_cast<size_t>(box.height * box.width * 3));
  for (int64_t y = 0; y < box.height; ++y) {
    const uint8_t* from = rgb + (box.top + y) * stride + box.left * 3;
    std::memcpy(pixels.row(y), from, static_cast<size_t>(box.width * 3));
  }
  region.box = box;
}

}  // namespace previt
