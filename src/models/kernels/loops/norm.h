#pragma once

#include <cstdint>

#include "models/kernels/loops/simd.h"

namespace previt::loops {

// LayerNorm of rows of n values, for X and Y float or simd::Bf16.

/// y = (x - mean) / σ · weight + bias, and each row's mean and 1/σ to moments [rows, 2].
template <class X, class Y>
void norm_rows(const X* x,
               const float* weight,
               const float* bias,
               float eps,
               int64_t rows,
               int64_t n,
               Y* y,
               float* moments);

/// dx = the gradient of the norm, plus the residual stream's unless `residual` is null. Adds the
/// rows' shares of the gradients of weight and bias to sums [2, n].
template <class X, class Y>
void norm_backward_rows(const X* x,
                        const Y* dy,
                        const float* weight,
                        const float* moments,
                        int64_t rows,
                        int64_t n,
                        const X* residual,
                        X* dx,
                        float* sums);

}  // namespace previt::loops
