#pragma once

#include <cstdint>

#include "models/kernels/loops/simd.h"

namespace previt::loops {

/// y [rows, columns] += bias [columns]. T: float or simd::Bf16.
template <class T>
void add_bias_rows(T* y, const float* bias, int64_t rows, int64_t columns);

/// For the columns [begin, end) of rows that are `stride` apart: out = a·b and sums += its column
/// sums; if out is null, sums += those of a. T: float or simd::Bf16.
template <class T>
void sum_columns(const T* a,
                 const T* b,
                 T* out,
                 float* sums,
                 int64_t rows,
                 int64_t stride,
                 int64_t begin,
                 int64_t end);

/// Elements [begin, end) of y = the sum of `count` parts, `stride` apart.
void sum_parts(
    const simd::Bf16* parts, int64_t count, int64_t stride, float* y, int64_t begin, int64_t end);

}  // namespace previt::loops
