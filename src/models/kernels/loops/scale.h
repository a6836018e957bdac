#pragma once

#include <cstdint>

#include "models/kernels/loops/simd.h"

namespace previt::loops {

/// y = x + factor·branch for `count` values. T: float or simd::Bf16.
template <class T>
void add_scaled_span(const float* x, const T* branch, float factor, float* y, int64_t count);

/// y = factor·x for `count` values. T: float or simd::Bf16.
template <class T>
void scaled_span(const float* x, float factor, T* y, int64_t count);

}  // namespace previt::loops
