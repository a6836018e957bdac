#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// a bᵀ for a [M, K] and b [N, K] of the same type (b may be a transposed view), plus bias [N] if it
/// is defined: [M, N]. On the CPU matmul_ways() knows which library computes it, and it runs over
/// the padding of a (PaddedRows) if that pays.
at::Tensor matmul_transposed(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias = {});

/// aᵀ b for a [M, K] and b [M, N] of the same type, float32 [K, N].
at::Tensor matmul_over_rows(const at::Tensor& a, const at::Tensor& b);

}  // namespace previt
