#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "augment/encode_png.h"
#include "models/weights/load_model.h"

namespace previt::test {

/// A class of pictures of one colour with some noise. Colours are from 0 to 255.
struct ColorClass {
  std::string name;
  int64_t red = 0, green = 0, blue = 0;
};

inline const std::vector<ColorClass> kColors = {
    {"blue", 20, 20, 220}, {"green", 20, 220, 20}, {"red", 220, 20, 20}, {"white", 220, 220, 220}};

/// Writes `count` PNGs of 16 x 16 pixels for each class into its folder below `folder`. Another
/// `seed` makes others.
inline void write_classes(const std::string& folder,
                          const std::vector<ColorClass>& classes,
                          int64_t count,
                          uint64_t seed = 0) {
  torch::manual_seed(seed);
  for (const ColorClass& one : classes) {
    std::filesystem::create_directories(folder + "/" + one.name);
    const at::Tensor color = torch::tensor({one.red, one.green, one.blue}, torch::kInt64);
    for (int64_t i = 0; i < count; ++i) {
      const at::Tensor pixels = (color + torch::randint(-60, 60, {16, 16, 3})).clamp(0, 255);
      std::ofstream(folder + "/" + one.name + "/" + std::to_string(i) + ".png", std::ios::binary)
          << encode_png(pixels.to(torch::kUInt8));
    }
  }
}

/// Writes a model as a weights file of PreViT's and returns the path.
inline std::string write_model(const std::string& path, const LoadedModel& model) {
  write_safetensors(
      path,
      model.weights,
      model_metadata(model.options, model.normalize, model.class_names, model.crop_pct));
  return path;
}

}  // namespace previt::test
