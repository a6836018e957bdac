#include "models/layers/pos_embed.h"

#include <ATen/Context.h>
#include <c10/core/InferenceMode.h>
#include <torch/types.h>

#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "error.h"
#include "upload.h"

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

// A grid [1, D, h, w] resampled by LibTorch's operator.
at::Tensor by_operator(const at::Tensor& grid, int64_t height, int64_t width, PosResize how) {
  const auto scale = [&](int64_t to, int64_t from) -> std::optional<double> {
    if (how.offset == 0) return std::nullopt;  // LibTorch then takes to / from
    return (static_cast<double>(to) + how.offset) / static_cast<double>(from);
  };
  const std::array<int64_t, 2> size = {height, width};
  const auto scale_h = scale(height, grid.size(2)), scale_w = scale(width, grid.size(3));
  return how.antialias ? torch::_upsample_bicubic2d_aa(grid, size, false, scale_h, scale_w)
                       : torch::upsample_bicubic2d(grid, size, false, scale_h, scale_w);
}

// [to, from]: what the operator does along one axis, made once for each device.
at::Tensor axis_matrix(int64_t from, int64_t to, PosResize how, at::Device device) {
  using Key = std::tuple<int64_t, int64_t, bool, double, std::string>;
  static std::mutex mutex;
  // Never destroyed: the device may be gone before static objects are.
  static auto& made = *new std::map<Key, at::Tensor>;
  const std::lock_guard lock(mutex);
  at::Tensor& matrix = made[{from, to, how.antialias, how.offset, device.str()}];
  if (matrix.defined()) return matrix;
  const c10::InferenceMode none(false);  // a caller's would make tensors that can't be trained with
  // Each unit vector along the axis as a picture of width 1. With an offset, the operator takes 1.1
  // for the scale of that width, which reads the only pixel all the same.
  const at::Tensor columns = by_operator(torch::eye(from).view({1, from, from, 1}), to, 1, how);
  return matrix = upload(columns.view({from, to}).t().contiguous(), device);
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
  // The operator's gradient adds up in no fixed order on a GPU; that of a product has one.
  const bool product = !grid.is_cpu() || at::globalContext().deterministicAlgorithms();
  const at::Tensor resized = product
                                 ? axis_matrix(old_height, new_height, how, grid.device())
                                       .to(grid.scalar_type())
                                       .matmul(grid)
                                       .matmul(axis_matrix(old_width, new_width, how, grid.device())
                                                   .to(grid.scalar_type())
                                                   .t())
                                 : by_operator(grid, new_height, new_width, how);
  return torch::cat({table.slice(1, 0, extra), resized.flatten(2).transpose(1, 2)}, 1);
}

}  // namespace previt
