#include "augment/io/video.h"

#include <torch/types.h>

#include <filesystem>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>

#include "augment/io/opencv.h"
#include "error.h"

namespace previt {
namespace {

int codec_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".avi") return cv::VideoWriter::fourcc('M', 'J', 'P', 'G');
  if (ending == ".mp4") return cv::VideoWriter::fourcc('m', 'p', '4', 'v');
  fail_usage("{}: a video's name ends in .avi or .mp4", path);
}

}  // namespace

struct VideoWriter::Impl {
  std::string path;
  int codec = 0;
  double rate = 0;
  cv::Size size;
  int frames = 0;
  cv::VideoWriter writer;
};

VideoWriter::VideoWriter(const std::string& path, double frames_per_second)
    : impl_(std::make_unique<Impl>()) {
  settle_opencv();
  impl_->path = path;
  impl_->codec = codec_of(path);
  impl_->rate = frames_per_second;
}

VideoWriter::~VideoWriter() {
  if (impl_->frames == 0) return;
  impl_->writer.release();
  std::error_code ignored;
  std::filesystem::remove(impl_->path, ignored);
}

void VideoWriter::add(const at::Tensor& pixels) {
  require(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.scalar_type() == torch::kUInt8,
          "a picture must be uint8 [H, W, 3]");
  const at::Tensor rgb = pixels.cpu().contiguous();
  const cv::Mat image(
      static_cast<int>(rgb.size(0)), static_cast<int>(rgb.size(1)), CV_8UC3, rgb.data_ptr());
  if (!impl_->writer.isOpened()) {
    impl_->size = {image.cols - image.cols % 2,
                   image.rows - image.rows % 2};  // codecs store colours at half the size
    require(impl_->writer.open(impl_->path, impl_->codec, impl_->rate, impl_->size),
            "{}: can't be written (no such folder, or OpenCV lacks the codec)",
            impl_->path);
  }
  cv::Mat frame;
  cv::cvtColor(image, frame, cv::COLOR_RGB2BGR);
  if (frame.size() != impl_->size) cv::resize(frame, frame, impl_->size, 0, 0, cv::INTER_AREA);
  impl_->writer.write(frame);
  ++impl_->frames;
}

void VideoWriter::finish() {
  impl_->writer.release();
  // OpenCV's writers don't report a full disk, but a video that is cut short has fewer frames.
  cv::VideoCapture written(impl_->path);
  const int frames =
      written.isOpened() ? static_cast<int>(written.get(cv::CAP_PROP_FRAME_COUNT)) : 0;
  require(impl_->frames == 0 || frames == impl_->frames,
          "{}: {} of {} frames could be written; is the disk full?",
          impl_->path,
          frames,
          impl_->frames);
  impl_->frames = 0;  // so that the destructor keeps the file
}

}  // namespace previt
