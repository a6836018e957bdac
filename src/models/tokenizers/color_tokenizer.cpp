#include "models/tokenizers/color_tokenizer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "error.h"

namespace previt {

ColorTokenizer::ColorTokenizer(int64_t vocabulary,
                               const std::vector<int64_t>& image_size,
                               const std::vector<int64_t>& grid,
                               int64_t channels)
    : vocabulary_(vocabulary), image_size_(image_size), grid_(grid) {
  const auto words = [&](int64_t levels) {
    return std::pow(static_cast<double>(levels), static_cast<double>(channels));
  };
  while (words(levels_ + 1) <= static_cast<double>(vocabulary)) ++levels_;
  if (levels_ < 2) {
    fail_usage(
        "colors:{}: {} channels of two levels need {} words", vocabulary, channels, words(2));
  }
}

at::Tensor ColorTokenizer::tokens(const at::Tensor& pixels) {
  const torch::NoGradGuard no_grad;
  require(pixels.size(2) == image_height() && pixels.size(3) == image_width(),
          "colour tokenizer: images are {} x {} instead of {} x {}",
          pixels.size(2),
          pixels.size(3),
          image_height(),
          image_width());
  const at::Tensor colors = torch::adaptive_avg_pool2d(pixels.to(torch::kFloat32), grid_);
  const at::Tensor levels =
      colors.mul(levels_).floor().clamp_(0, levels_ - 1).to(torch::kInt64).flatten(2);  // [B, C, L]
  at::Tensor words = levels.select(1, 0);
  for (int64_t channel = 1; channel < levels.size(1); ++channel) {
    words = words * levels_ + levels.select(1, channel);
  }
  return words;
}

}  // namespace previt
