#pragma once

#include <torch/types.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "augment/encode_png.h"

namespace previt::test {

/// Writes a PNG of random bytes from torch's generator, and the folders above it.
inline void write_noise_png(const std::string& path, int64_t height = 16, int64_t width = 16) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      << encode_png(torch::randint(256, {height, width, 3}, torch::kUInt8));
}

}  // namespace previt::test
