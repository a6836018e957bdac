#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// a bᵀ for a [M, K] and b [N, K] of one type on the CPU (b may be a transposed view), plus bias
/// [N] where it is defined: [M, N]. In float32 by oneDNN where LibTorch has it: 1.2 to 1.4 times as
/// fast as its default on AMD chips.
at::Tensor product_with_transposed(const at::Tensor& a,
                                   const at::Tensor& b,
                                   const at::Tensor& bias = {});

/// aᵀ b for a [M, K] and b [M, N] of one type on the CPU, float32 [K, N].
at::Tensor product_over_rows(const at::Tensor& a, const at::Tensor& b);

/// Uninitialised, [..., K] with room behind: products of its rows may run over a few more, so that
/// their number suits oneDNN. It is up to a tenth slower with others.
at::Tensor empty_rows(at::IntArrayRef shape, const at::TensorOptions& options);

}  // namespace previt
