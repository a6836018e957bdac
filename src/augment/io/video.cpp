#include "augment/io/video.h"

#include <dlfcn.h>
#include <torch/types.h>

#include <filesystem>

#include "augment/io/opencv/video_module.h"
#include "error.h"

namespace previt {
namespace {

const char* codec_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".avi") return "MJPG";
  if (ending == ".mp4") return "mp4v";
  fail_usage("{}: a video's name ends in .avi or .mp4", path);
}

// Stays loaded until the program ends.
OpenVideo* video_opener(const std::string& path) {
  void* const module = dlopen(kVideoModule, RTLD_NOW | RTLD_LOCAL);
  void* const opener = module == nullptr ? nullptr : dlsym(module, kOpenVideo);
  if (opener == nullptr) fail("{}: this installation can't write videos: {}", path, dlerror());
  return reinterpret_cast<OpenVideo*>(opener);
}

}  // namespace

struct VideoWriter::Impl {
  std::string path;
  const char* codec = nullptr;
  double rate = 0;
  OpenVideo* open = nullptr;
  int frames = 0;
  std::unique_ptr<VideoFile> file;
};

VideoWriter::VideoWriter(const std::string& path, double frames_per_second)
    : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->codec = codec_of(path);
  impl_->rate = frames_per_second;
  impl_->open = video_opener(path);
}

VideoWriter::~VideoWriter() {
  if (impl_->frames == 0) return;
  impl_->file.reset();
  std::error_code ignored;
  std::filesystem::remove(impl_->path, ignored);
}

void VideoWriter::add(const at::Tensor& pixels) {
  require(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.scalar_type() == torch::kUInt8,
          "a picture must be uint8 [H, W, 3]");
  const at::Tensor rgb = pixels.cpu().contiguous();
  const int height = static_cast<int>(rgb.size(0)), width = static_cast<int>(rgb.size(1));
  if (impl_->file == nullptr) {
    // Codecs store colours at half the size.
    impl_->file.reset(impl_->open(
        impl_->path.c_str(), impl_->codec, impl_->rate, height - height % 2, width - width % 2));
    require(impl_->file != nullptr,
            "{}: can't be written (no such folder, or OpenCV lacks the codec)",
            impl_->path);
  }
  impl_->file->write(rgb.data_ptr<uint8_t>(), height, width);
  ++impl_->frames;
}

void VideoWriter::finish() {
  if (impl_->frames == 0) return;
  // OpenCV's writers don't report a full disk, but a video that is cut short has fewer frames.
  const int frames = impl_->file->close();
  require(frames == impl_->frames,
          "{}: {} of {} frames could be written; is the disk full?",
          impl_->path,
          frames,
          impl_->frames);
  impl_->frames = 0;  // so that the destructor keeps the file
}

}  // namespace previt
