#include "finetune/random_erasing.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <cmath>

#include "error.h"
#include "upload.h"

namespace previt {
namespace {

struct ErasedBox {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

// Height 0 where no attempt fitted.
ErasedBox draw_box(int64_t height,
                   int64_t width,
                   const RandomErasingOptions& options,
                   Draws& draws) {
  constexpr int kAttempts = 10;
  const double area = static_cast<double>(height * width) / static_cast<double>(options.count);
  const double log_aspect = std::log(options.min_aspect);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double target = area * draws.uniform(options.min_area, options.max_area);
    const double aspect = std::exp(draws.uniform(log_aspect, -log_aspect));
    ErasedBox box{.height = std::llrint(std::sqrt(target * aspect)),
                  .width = std::llrint(std::sqrt(target / aspect))};
    if (box.height >= height || box.width >= width) continue;
    box.top = draws.integer(0, height - box.height + 1);
    box.left = draws.integer(0, width - box.width + 1);
    return box;
  }
  return {};
}

void erase(const at::Tensor& image, const ErasedBox& box, bool noise, Draws& draws) {
  at::Tensor target =
      image.slice(1, box.top, box.top + box.height).slice(2, box.left, box.left + box.width);
  if (!noise) {
    target.zero_();
    return;
  }
  // Drawn on the host, so that the pixels do not depend on the device.
  const auto seed = static_cast<uint64_t>(draws.integer(0, int64_t{1} << 62));
  const at::Tensor noise_pixels =
      torch::randn(target.sizes(), at::detail::createCPUGenerator(seed), torch::kFloat32);
  target.copy_(upload(noise_pixels, target.device()));
}

}  // namespace

at::Tensor random_erasing(at::Tensor images,
                          double probability,
                          Draws& draws,
                          const RandomErasingOptions& options) {
  TORCH_CHECK(images.dim() == 4, "random_erasing takes [B, C, H, W], not ", images.sizes());
  const bool noise = options.pixels == ErasedPixels::noise;
  const torch::NoGradGuard no_grad;
  for (int64_t i = 0; i < images.size(0); ++i) {
    if (!draws.chance(probability)) continue;
    for (int64_t n = 0; n < options.count; ++n) {
      const ErasedBox box = draw_box(images.size(2), images.size(3), options, draws);
      if (box.height > 0 && box.width > 0) erase(images[i], box, noise, draws);
    }
  }
  return images;
}

}  // namespace previt
