#include "models/layers/pos_embed.h"

#include <torch/types.h>

#include <optional>

#include "error.h"

namespace previt {
namespace {

// [n, dim]: sines, then cosines, of every position at every frequency.
at::Tensor encode_axis(int64_t n, int64_t dim) {
  const auto f64 = torch::TensorOptions(torch::kDouble);
  const at::Tensor omega =
      torch::pow(10000.0, -torch::arange(dim / 2, f64) / static_cast<double>(dim / 2));
  const at::Tensor angle = torch::arange(n, f64).unsqueeze(1) * omega;
  return torch::cat({angle.sin(), angle.cos()}, 1);
}

}  // namespace

at::Tensor sincos_positions(int64_t dim, int64_t grid_height, int64_t grid_width, bool cls_row) {
  require(dim % 4 == 0, "sin-cos positions: width {} is not a multiple of 4", dim);
  const at::Tensor column =
      encode_axis(grid_width, dim / 2).unsqueeze(0).expand({grid_height, -1, -1});
  const at::Tensor row =
      encode_axis(grid_height, dim / 2).unsqueeze(1).expand({-1, grid_width, -1});
  const at::Tensor table = torch::cat({column, row}, -1).flatten(0, 1).to(torch::kFloat);
  return cls_row ? torch::cat({torch::zeros({1, dim}), table}) : table;
}

PosResize pos_resize(ResizeConvention convention) {
  if (convention == ResizeConvention::mae) return {};
  if (convention == ResizeConvention::dino) return {.offset = 0.1};
  return {.antialias = true};
}

at::Tensor resize_pos_embed(const at::Tensor& table,
                            int64_t old_height,
                            int64_t old_width,
                            int64_t new_height,
                            int64_t new_width,
                            PosResize how) {
  if (old_height == new_height && old_width == new_width) return table;
  const int64_t extra = table.size(1) - old_height * old_width;
  require(extra >= 0,
          "pos_embed: {} rows are too few for a {} x {} grid",
          table.size(1),
          old_height,
          old_width);
  const at::Tensor grid =
      table.slice(1, extra).reshape({1, old_height, old_width, -1}).permute({0, 3, 1, 2});
  const auto scale = [&](int64_t to, int64_t from) -> std::optional<double> {
    if (how.offset == 0) return std::nullopt;  // LibTorch then takes to / from
    return (static_cast<double>(to) + how.offset) / static_cast<double>(from);
  };
  const std::array<int64_t, 2> size = {new_height, new_width};
  const auto scale_h = scale(new_height, old_height), scale_w = scale(new_width, old_width);
  const at::Tensor resized =
      how.antialias ? torch::_upsample_bicubic2d_aa(grid, size, false, scale_h, scale_w)
                    : torch::upsample_bicubic2d(grid, size, false, scale_h, scale_w);
  return torch::cat({table.slice(1, 0, extra), resized.flatten(2).transpose(1, 2)}, 1);
}

}  // namespace previt
