#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

namespace previt {

/// Writes frames as a video: Motion JPEG in .avi, MPEG-4 in .mp4. A video that isn't finished is
/// removed. Throws Error led by the path, also where kVideoModule (opencv/video_module.h) can't be
/// loaded, UsageError for another ending.
class VideoWriter {
 public:
  VideoWriter(const std::string& path, double frames_per_second);
  ~VideoWriter();

  /// uint8 [H, W, 3], RGB; frames of another size than the first are resized to it.
  void add(const at::Tensor& pixels);
  /// Throws Error if the file has fewer frames than were added.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace previt
