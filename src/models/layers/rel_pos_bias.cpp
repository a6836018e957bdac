#include "models/layers/rel_pos_bias.h"

#include <torch/types.h>

#include "error.h"
#include "models/layers/spline.h"

namespace previt {
namespace {

// Ratio of the geometric progression 1 + q + q² + … of `terms` terms that sums to `reach`, by the
// official bisection between 1.01 and 1.5.
double progression_ratio(int64_t terms, double reach) {
  double low = 1.01, high = 1.5;
  double q = low;
  while (high - low > 1e-6) {
    q = (low + high) / 2;
    const double sum = (1 - std::pow(q, static_cast<double>(terms))) / (1 - q);
    (sum > reach ? high : low) = q;
  }
  return q;
}

// Matrix [2·to - 1, 2·from - 1] that resamples the offsets along one axis.
at::Tensor axis_resampler(int64_t from, int64_t to) {
  const int64_t reach = to - 1;
  const double q = progression_ratio(from - 1, static_cast<double>(reach));
  std::vector<double> old_offsets = {0};
  double offset = 0;
  for (int64_t i = 0; i < from - 1; ++i) {
    offset += std::pow(q, static_cast<double>(i));
    old_offsets.insert(old_offsets.begin(), -offset);
    old_offsets.push_back(offset);
  }
  // The progression need not end exactly at `reach`, and the spline ends where its points do.
  std::vector<double> new_offsets;
  for (int64_t i = -reach; i <= reach; ++i) {
    new_offsets.push_back(std::clamp(static_cast<double>(i), -offset, offset));
  }
  return spline_matrix(old_offsets, new_offsets);
}

}  // namespace

int64_t relative_position_rows(int64_t h, int64_t w) { return (2 * h - 1) * (2 * w - 1) + 3; }

at::Tensor relative_position_index(int64_t h, int64_t w) {
  const at::Tensor row = torch::arange(h).repeat_interleave(w);
  const at::Tensor column = torch::arange(w).repeat({h});
  const at::Tensor rows_apart = row.unsqueeze(1) - row + (h - 1);
  const at::Tensor columns_apart = column.unsqueeze(1) - column + (w - 1);
  const int64_t n = relative_position_rows(h, w);
  at::Tensor index = torch::empty({h * w + 1, h * w + 1}, torch::kLong);
  index.slice(0, 1).slice(1, 1) = rows_apart * (2 * w - 1) + columns_apart;
  index[0] = n - 3;
  index.select(1, 0) = n - 2;
  index[0][0] = n - 1;
  return index;
}

at::Tensor relative_position_bias(const at::Tensor& table, const at::Tensor& index) {
  return table.index_select(0, index.flatten())
      .view({index.size(0), index.size(1), table.size(1)})
      .permute({2, 0, 1})
      .contiguous();
}

at::Tensor resize_relative_table(const at::Tensor& table,
                                 int64_t old_height,
                                 int64_t old_width,
                                 int64_t new_height,
                                 int64_t new_width) {
  if (old_height == new_height && old_width == new_width) return table;
  require(table.size(0) == relative_position_rows(old_height, old_width),
          "relative_position_bias_table: {} rows do not belong to a {} x {} grid",
          table.size(0),
          old_height,
          old_width);
  const int64_t offsets = table.size(0) - 3;
  const at::Tensor grid = table.slice(0, 0, offsets)
                              .to(torch::kDouble)
                              .t()
                              .reshape({-1, 2 * old_height - 1, 2 * old_width - 1});
  const at::Tensor vertical = axis_resampler(old_height, new_height).to(table.device());
  const at::Tensor horizontal = axis_resampler(old_width, new_width).to(table.device());
  const at::Tensor resized = vertical.matmul(grid).matmul(horizontal.t()).flatten(1).t();
  return torch::cat({resized.to(table.scalar_type()), table.slice(0, offsets)});
}

}  // namespace previt
