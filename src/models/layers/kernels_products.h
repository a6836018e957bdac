#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// a bᵀ for a [M, K] and b [N, K] of one type on the CPU (b may be a transposed view): [M, N]. In
/// float32 by oneDNN where LibTorch has it: 1.2 to 1.4 times as fast as its default on AMD chips.
at::Tensor product_with_transposed(const at::Tensor& a, const at::Tensor& b);

}  // namespace previt
