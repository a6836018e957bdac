#include "pretrain/losses/masked_pixels.h"

#include <torch/types.h>

namespace previt {

at::Tensor patchify(const at::Tensor& images, int64_t patch, PixelOrder order) {
  const int64_t batch = images.size(0), channels = images.size(1);
  const int64_t rows = images.size(2) / patch, columns = images.size(3) / patch;
  const at::Tensor grid = images.view({batch, channels, rows, patch, columns, patch});
  const at::Tensor ordered = order == PixelOrder::channel_last ? grid.permute({0, 2, 4, 3, 5, 1})
                                                               : grid.permute({0, 2, 4, 1, 3, 5});
  return ordered.reshape({batch, rows * columns, patch * patch * channels});
}

at::Tensor unpatchify(
    const at::Tensor& patches, int64_t rows, int64_t columns, int64_t patch, PixelOrder order) {
  const int64_t batch = patches.size(0), channels = patches.size(2) / (patch * patch);
  const at::Tensor grid =
      order == PixelOrder::channel_last
          ? patches.view({batch, rows, columns, patch, patch, channels}).permute({0, 5, 1, 3, 2, 4})
          : patches.view({batch, rows, columns, channels, patch, patch})
                .permute({0, 3, 1, 4, 2, 5});
  return grid.reshape({batch, channels, rows * patch, columns * patch});
}

PatchStatistics patch_statistics(const at::Tensor& patches) {
  const auto [variance, mean] =
      torch::var_mean(patches, /*dim=*/{-1}, /*unbiased=*/true, /*keepdim=*/true);
  return {mean, (variance + 1e-6).sqrt()};
}

at::Tensor normalize_patches(const at::Tensor& patches) {
  const PatchStatistics statistics = patch_statistics(patches);
  return (patches - statistics.mean) / statistics.deviation;
}

at::Tensor pixel_loss(const at::Tensor& prediction, const at::Tensor& target) {
  return torch::mse_loss(prediction.to(torch::kFloat32), target);
}

at::Tensor absolute_pixel_loss(const at::Tensor& prediction,
                               const at::Tensor& target,
                               int64_t channels) {
  const double pixels = static_cast<double>(target.numel()) / static_cast<double>(channels);
  return torch::l1_loss(prediction.to(torch::kFloat32), target, at::Reduction::Sum) /
         ((pixels + 1e-5) * static_cast<double>(channels));
}

}  // namespace previt
