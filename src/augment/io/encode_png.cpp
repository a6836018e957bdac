#include "augment/encode_png.h"

#include <torch/types.h>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "augment/io/opencv.h"
#include "error.h"

namespace previt {

std::string encode_png(const at::Tensor& pixels) {
  settle_opencv();
  require(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.scalar_type() == torch::kUInt8,
          "a picture must be uint8 [H, W, 3]");
  const at::Tensor rgb = pixels.cpu().contiguous();
  const cv::Mat image(
      static_cast<int>(rgb.size(0)), static_cast<int>(rgb.size(1)), CV_8UC3, rgb.data_ptr());
  cv::Mat bgr;
  cv::cvtColor(image, bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  require(cv::imencode(".png", bgr, bytes), "a picture could not be encoded");
  return {bytes.begin(), bytes.end()};
}

}  // namespace previt
