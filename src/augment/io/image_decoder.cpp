#include "augment/io/image_decoder.h"

#include <cstring>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "augment/io/limits.h"
#include "error.h"

namespace previt {

ImageDecoder::ImageDecoder() {
  // Ours are the threads, and ours the one line about a damaged picture.
  cv::setNumThreads(1);
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
}

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
  // OpenCV turns TIFF upright by itself, whatever it is told, and would round 16 bits.
  const bool tiff = header_.format == ImageFormat::kTiff;
  const int depth = tiff ? cv::IMREAD_ANYDEPTH : 0;
  cv::Mat bgr;
  try {
    const cv::Mat bytes(1, static_cast<int>(file_.size), CV_8U, const_cast<uint8_t*>(file_.data));
    bgr = cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION | depth);
  } catch (const cv::Exception& e) {
    fail("damaged or unsupported picture ({})", e.err);
  }
  if (bgr.type() == CV_16UC3) bgr.convertTo(bgr, CV_8U, 1 / 256.0, -0.498);  // rounds down
  require(!bgr.empty() && bgr.type() == CV_8UC3, "damaged or unsupported picture");
  Image stored(bgr.rows, bgr.cols);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, stored.pixels.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  if (tiff || orientation_.identity()) {
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
