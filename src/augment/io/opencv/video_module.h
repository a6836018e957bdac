#pragma once

#include <cstdint>

namespace previt {

/// A video that is being written. It throws nothing.
class VideoFile {
 public:
  virtual ~VideoFile() = default;
  /// Appends RGB pixels, row by row, resized to the video's size where theirs is another.
  virtual void write(const uint8_t* rgb, int height, int width) = 0;
  /// Closes the file and returns how many frames can be read back from it.
  virtual int close() = 0;
};

constexpr const char* kVideoModule = "libprevit_video.so";
constexpr const char* kOpenVideo = "previt_open_video";
/// What kVideoModule exports under that name. `codec` has four letters; the sizes are in pixels and
/// even. Null where the file can't be opened for that codec.
using OpenVideo =
    VideoFile*(const char* path, const char* codec, double rate, int height, int width);

}  // namespace previt
