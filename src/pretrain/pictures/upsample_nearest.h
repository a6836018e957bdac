#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// Nearest-neighbour upsampling, of any type: [B, C, rows, columns] → [B, C, height, width], where
/// height and width must be multiples of rows and columns.
at::Tensor upsample_nearest(const at::Tensor& grid, int64_t height, int64_t width);

}  // namespace previt
