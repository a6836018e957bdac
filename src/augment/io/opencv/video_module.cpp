// libprevit_video.so: OpenCV's videos. A library of its own, since OpenCV's writers come with some
// two hundred others (FFmpeg, GStreamer, GDAL …), which only `attention_maps --video` needs.
#include "augment/io/opencv/video_module.h"

#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <string>

namespace previt {
namespace {

class OpenCvVideo final : public VideoFile {
 public:
  OpenCvVideo(const char* path, const char* codec, double rate, int height, int width)
      : path_(path), size_(width, height) {
    const int fourcc = cv::VideoWriter::fourcc(codec[0], codec[1], codec[2], codec[3]);
    writer_.open(path_, fourcc, rate, size_);
  }

  bool opened() const { return writer_.isOpened(); }

  void write(const uint8_t* rgb, int height, int width) override {
    const cv::Mat image(height, width, CV_8UC3, const_cast<uint8_t*>(rgb));
    cv::Mat frame;
    cv::cvtColor(image, frame, cv::COLOR_RGB2BGR);
    if (frame.size() != size_) cv::resize(frame, frame, size_, 0, 0, cv::INTER_AREA);
    writer_.write(frame);
  }

  int close() override {
    writer_.release();
    cv::VideoCapture written(path_);
    return written.isOpened() ? static_cast<int>(written.get(cv::CAP_PROP_FRAME_COUNT)) : 0;
  }

 private:
  std::string path_;
  cv::Size size_;
  cv::VideoWriter writer_;
};

}  // namespace
}  // namespace previt

extern "C" __attribute__((visibility("default"))) previt::VideoFile* previt_open_video(
    const char* path, const char* codec, double rate, int height, int width) {
  // Errors are one line of ours.
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  auto video = std::make_unique<previt::OpenCvVideo>(path, codec, rate, height, width);
  return video->opened() ? video.release() : nullptr;
}
