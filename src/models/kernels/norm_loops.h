#pragma once

#include <cstdint>

#include "models/kernels/simd.h"

namespace previt::loops {

// LayerNorm of rows of n values, for X and Y float or simd::Bf16.

/// norm_rows: y = (x - mean) / σ · w + b, and each row's mean and 1/σ to moments [rows, 2].
///
/// norm_backward_rows: dx = the gradient of the norm, plus the residual stream's unless `residual`
/// is null. Adds the rows' shares of the gradients of weight and bias to sums [2, n].
#define PREVIT_NORM(X, Y)                       \
  void norm_rows(const X* x,                    \
                 const float* w,                \
                 const float* b,                \
                 float eps,                     \
                 int64_t rows,                  \
                 int64_t n,                     \
                 Y* y,                          \
                 float* moments);               \
  void norm_backward_rows(const X* x,           \
                          const Y* dy,          \
                          const float* w,       \
                          const float* moments, \
                          int64_t rows,         \
                          int64_t n,            \
                          const X* residual,    \
                          X* dx,                \
                          float* sums);
PREVIT_NORM(float, float)
PREVIT_NORM(float, simd::Bf16)
PREVIT_NORM(simd::Bf16, float)
PREVIT_NORM(simd::Bf16, simd::Bf16)
#undef PREVIT_NORM

}  // namespace previt::loops
