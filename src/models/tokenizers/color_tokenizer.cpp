#include "models/tokenizers/color_tokenizer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "error.h"

namespace previt {

ColorTokenizer::ColorTokenizer(int64_t vocab_size,
                               const std::vector<int64_t>& image_size,
                               const std::vector<int64_t>& grid,
                               int64_t channels)
    : vocab_size_(vocab_size), image_size_(image_size), grid_(grid) {
  const auto colors = [&](int64_t levels) {
    return std::pow(static_cast<double>(levels), static_cast<double>(channels));
  };
  while (colors(levels_ + 1) <= static_cast<double>(vocab_size)) ++levels_;
  if (levels_ < 2) {
    fail_usage(
        "colors:{}: {} channels of two levels need {} tokens", vocab_size, channels, colors(2));
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
  // White is 1.0, one level too high: hence the clamp.
  const at::Tensor levels =
      colors.mul(levels_).floor().clamp_(0, levels_ - 1).to(torch::kInt64).flatten(2);  // [B, C, L]
  at::Tensor tokens = levels.select(1, 0);
  for (int64_t channel = 1; channel < levels.size(1); ++channel) {
    tokens = tokens * levels_ + levels.select(1, channel);
  }
  return tokens;
}

}  // namespace previt
