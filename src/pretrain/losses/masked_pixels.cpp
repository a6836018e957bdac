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

PixelStatistics patch_statistics(const at::Tensor& patches) {
  const auto [variance, mean] =
      torch::var_mean(patches, /*dim=*/{-1}, /*unbiased=*/true, /*keepdim=*/true);
  return {mean, (variance + 1e-6).sqrt()};
}

at::Tensor normalize_patches(const at::Tensor& patches) {
  const PixelStatistics statistics = patch_statistics(patches);
  return (patches - statistics.mean) / statistics.deviation;
}

namespace {

// Rows first, then columns: the square's mean for the price of two lines. What lies outside the
// image doesn't count.
at::Tensor window_mean(const at::Tensor& images, int64_t window) {
  const auto along = [&](const at::Tensor& x, at::IntArrayRef size) {
    return torch::avg_pool2d(x,
                             size,
                             /*stride=*/1,
                             {size[0] / 2, size[1] / 2},
                             /*ceil_mode=*/false,
                             /*count_include_pad=*/false);
  };
  return along(along(images, {window, 1}), {1, window});
}

// Pixels of the window around each place of a line that lie in it.
at::Tensor window_counts(int64_t size, int64_t window, const at::TensorOptions& options) {
  const at::Tensor place = torch::arange(size, options);
  const int64_t half = window / 2;
  return (place + half).clamp_max(size - 1) - (place - half).clamp_min(0) + 1;
}

}  // namespace

PixelStatistics window_statistics(const at::Tensor& images, int64_t window) {
  const at::Tensor mean = window_mean(images, window);
  const at::Tensor count = window_counts(images.size(2), window, images.options()).unsqueeze(1) *
                           window_counts(images.size(3), window, images.options());
  const at::Tensor variance =
      (window_mean(images.square(), window) - mean.square()) * (count / (count - 1));
  return {mean, (variance.clamp_min(0) + 1e-6).sqrt()};
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
