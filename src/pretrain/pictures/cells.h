#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// A value per cell of a coarse grid on a finer one: [B, C, rows, columns] → [B, C, height, width],
/// multiples of rows and columns.
at::Tensor enlarge_cells(const at::Tensor& cells, int64_t height, int64_t width);

}  // namespace previt
