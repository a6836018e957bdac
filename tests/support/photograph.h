#pragma once

#include <torch/types.h>

#include <filesystem>
#include <string>

#include "augment/encode_png.h"
#include "files.h"

namespace previt::test {

/// Writes FOLDER/images/NAME.png, a photograph of 20 × 30 pixels with a bright object, and the
/// object's mask as FOLDER/masks/NAME.png.
inline void write_photograph(const std::string& folder, const std::string& name) {
  std::filesystem::create_directories(folder + "/images");
  std::filesystem::create_directories(folder + "/masks");
  at::Tensor pixels = torch::randint(0, 90, {20, 30, 3}, torch::kUInt8);
  at::Tensor mask = torch::zeros({20, 30, 3}, torch::kUInt8);
  pixels.slice(0, 4, 12).slice(1, 10, 22).fill_(230);
  mask.slice(0, 4, 12).slice(1, 10, 22).fill_(255);
  write_whole_file(folder + "/images/" + name + ".png", encode_png(pixels));
  write_whole_file(folder + "/masks/" + name + ".png", encode_png(mask));
}

/// Writes a mask of one value everywhere, to be known again.
inline void write_mask(const std::string& path, int64_t height, int64_t width, int value) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_whole_file(path, encode_png(torch::full({height, width, 3}, value, torch::kUInt8)));
}

}  // namespace previt::test
