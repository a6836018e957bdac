#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// a bᵀ for a [M, K] and b [N, K] of one type on the CPU (b may be a transposed view), plus bias
/// [N] where it is defined: [M, N]. In float32 by oneDNN where LibTorch has it: 1.2 to 1.4 times as
/// fast as its default on AMD chips. Runs over the padding of a (PaddedRows) where that pays.
at::Tensor matmul_transposed(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {});

/// aᵀ b for a [M, K] and b [M, N] of one type on the CPU, float32 [K, N].
at::Tensor matmul_over_rows(const at::Tensor& a, const at::Tensor& b);

}  // namespace previt
