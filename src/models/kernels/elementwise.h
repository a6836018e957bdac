#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace previt::loops {

// Elementwise and column loops on contiguous CPU tensors, float32 or bfloat16. Biases [O] are
// float32.

/// y [M, O] += bias, in place.
void add_bias(at::Tensor& y, const at::Tensor& bias);

/// x + branch for float32 x and bfloat16 branch of the same shape, float32.
at::Tensor add_widening(const at::Tensor& x, const at::Tensor& branch);

/// Sum of bfloat16 parts [P, ...] over their first dimension, float32 [...].
at::Tensor sum_widened(const at::Tensor& parts);

/// x [B, ...] with factor·branch [K, ...] added to its images `kept` [K] (int64, rising), float32;
/// branch float32 or bfloat16.
at::Tensor add_scaled(const at::Tensor& x,
                      const at::Tensor& branch,
                      const at::Tensor& kept,
                      float factor);

/// factor·x for the images `kept` of float32 x [B, ...]: [K, ...] in `type`.
at::Tensor take_scaled(const at::Tensor& x,
                       const at::Tensor& kept,
                       float factor,
                       at::ScalarType type);

/// Sum over rows of y [M, O], float32 [O].
at::Tensor column_sums(const at::Tensor& y);

/// x [M, O] → gelu(x + bias) and its derivative at x + bias, both in x's type.
std::pair<at::Tensor, at::Tensor> gelu_with_derivative(const at::Tensor& x, const at::Tensor& bias);

/// xᵀ [O, M] of bfloat16 rows x [M, O]; its rows lie further apart than M where that aligns them.
at::Tensor transposed(const at::Tensor& x);

/// gelu(x + bias) of x [M, O], in place.
void gelu_(at::Tensor& x, const at::Tensor& bias);

/// a·b for a and b [M, O], and its column sums, float32 [O].
std::pair<at::Tensor, at::Tensor> multiply_with_sums(const at::Tensor& a, const at::Tensor& b);

}  // namespace previt::loops
