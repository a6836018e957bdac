#include "augment/io/encode_jpeg.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "augment/io/opencv.h"
#include "error.h"

namespace previt {

std::string encode_jpeg(const Image& image, int quality) {
  settle_opencv();
  const cv::Mat rgb(static_cast<int>(image.height),
                    static_cast<int>(image.width),
                    CV_8UC3,
                    const_cast<uint8_t*>(image.pixels.data()));
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  bool done = false;
  try {
    done = cv::imencode(".jpg", bgr, bytes, {cv::IMWRITE_JPEG_QUALITY, quality});
  } catch (const cv::Exception&) {
    // OpenCV throws for an image that is too large for the format.
  }
  require(done, "a picture of {} x {} can't be written as JPEG", image.width, image.height);
  return {bytes.begin(), bytes.end()};
}

}  // namespace previt
