#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace previt {

class GpuProgram;

/// What computes gelu(product + bias) for a product with rows of `width` in `type` on a device
/// (gelu.cu), or null: LibTorch's operators shall, as on what is no GPU.
const GpuProgram* gpu_gelu_program(at::Device device, at::ScalarType type, int64_t width);

/// gelu(product + bias) by such a program: product [..., O], which isn't empty, bias [O] float32 →
/// [..., O], in the product's type.
at::Tensor gpu_bias_gelu(const GpuProgram& program,
                         const at::Tensor& product,
                         const at::Tensor& bias);

/// How many neighbours in a row of `width` numbers a thread takes at once: 16 bytes of them, or
/// fewer if that doesn't divide the row.
constexpr int gpu_gelu_columns(int64_t width, size_t bytes_of_a_number) {
  int columns = 16 / static_cast<int>(bytes_of_a_number);
  while (width % columns != 0) columns /= 2;
  return columns;
}

/// How the warps of a GPU share out a product [rows, width] that isn't empty: each has a part of the
/// rows of a stripe of columns.
struct GeluShares {
  GeluShares(int64_t rows, int64_t width, at::ScalarType type);

  int64_t stripes;
  int64_t parts;  ///< in the forward pass
  int64_t
      backward_parts;  ///< with a sum each: by the sizes alone, so that equal inputs give equal sums
};

std::vector<std::string> gpu_gelu_defines(at::ScalarType type, int64_t width);  ///< for gelu.cu

extern const char* const kGpuGeluSource;  ///< gelu.cu

}  // namespace previt
