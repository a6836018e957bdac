#include "finetune/pictures/heat_map.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace previt {
namespace {

constexpr double kHeatShare = 0.6;  // of an overlay's colour that is heat
constexpr double kDimmed = 0.2;     // brightness outside a mask

at::Tensor stretched(const at::Tensor& map, const at::Tensor& picture, bool smooth) {
  const at::Tensor cells = map.to(torch::kFloat32).unsqueeze(0).unsqueeze(0);
  const std::vector<int64_t> size = {picture.size(1), picture.size(2)};
  return smooth ? torch::upsample_bilinear2d(cells, size, /*align_corners=*/false)[0][0]
                : torch::upsample_nearest2d(cells, size)[0][0];
}

}  // namespace

at::Tensor heat_colors(const at::Tensor& values) {
  // Brightness grows evenly with the value, so that the picture also reads in grey.
  static const at::Tensor stops = torch::tensor({0.00f,
                                                 0.00f,
                                                 0.02f,
                                                 0.26f,
                                                 0.04f,
                                                 0.41f,
                                                 0.58f,
                                                 0.15f,
                                                 0.40f,
                                                 0.87f,
                                                 0.32f,
                                                 0.23f,
                                                 0.99f,
                                                 0.65f,
                                                 0.04f,
                                                 0.99f,
                                                 1.00f,
                                                 0.64f})
                                      .view({6, 3});
  const double last = static_cast<double>(stops.size(0) - 1);
  const at::Tensor place = values.to(torch::kFloat32).clamp(0, 1) * last;
  const at::Tensor low = place.floor().clamp(0, last - 1);
  const at::Tensor index = low.to(torch::kLong).flatten();
  const at::Tensor rest = (place - low).flatten().unsqueeze(1);
  const at::Tensor colors =
      stops.index_select(0, index) * (1 - rest) + stops.index_select(0, index + 1) * rest;
  return colors.t().reshape({3, values.size(0), values.size(1)});
}

at::Tensor heat_overlay(const at::Tensor& picture, const at::Tensor& map) {
  const at::Tensor least = map.min(), range = (map.max() - least).clamp_min(1e-12);
  const at::Tensor heat = heat_colors(stretched((map - least) / range, picture, /*smooth=*/true));
  return (1 - kHeatShare) * picture + kHeatShare * heat;
}

at::Tensor cut_out(const at::Tensor& picture, const at::Tensor& mask) {
  const at::Tensor inside = stretched(mask, picture, /*smooth=*/false);
  return picture * (kDimmed + (1 - kDimmed) * inside);
}

at::Tensor thumbnail(const at::Tensor& picture, int64_t side) {
  const double scale =
      static_cast<double>(side) / static_cast<double>(std::max(picture.size(1), picture.size(2)));
  const auto fit = [&](int64_t length) {
    return std::clamp<int64_t>(std::lround(static_cast<double>(length) * scale), 1, side);
  };
  const int64_t height = fit(picture.size(1)), width = fit(picture.size(2));
  const at::Tensor small = torch::_upsample_bilinear2d_aa(
      picture.unsqueeze(0), {height, width}, /*align_corners=*/false)[0];
  at::Tensor canvas = torch::ones({3, side, side});
  canvas.narrow(1, (side - height) / 2, height).narrow(2, (side - width) / 2, width).copy_(small);
  return canvas;
}

at::Tensor to_pixels(const at::Tensor& picture) {
  return picture.cpu()
      .clamp(0, 1)
      .mul(255)
      .round()
      .to(torch::kUInt8)
      .permute({1, 2, 0})
      .contiguous();
}

}  // namespace previt
