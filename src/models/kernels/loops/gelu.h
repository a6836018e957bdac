#pragma once

#include <cstdint>

#include "models/kernels/loops/simd.h"

namespace previt::loops {

/// gelu(v) = v Φ(v) goes to y for v = x + bias, x [rows, columns]; its derivative Φ(v) + v φ(v)
/// goes to d, unless that is null.
void gelu_rows(
    const float* x, const float* bias, float* y, float* d, int64_t rows, int64_t columns);

/// How entries of a table are read: one by one, or as many as a register holds by one instruction,
/// which most levels don't have. The results are the same.
enum class Lookup { single, gathered };

/// gelu_rows in bfloat16, by a table of 65536 entries: for each v, rounded to bfloat16, its gelu in
/// the low half and the derivative in the high half.
void gelu_lookup_rows(const uint32_t* table,
                      const simd::Bf16* x,
                      const float* bias,
                      simd::Bf16* y,
                      simd::Bf16* d,
                      int64_t rows,
                      int64_t columns,
                      Lookup way);

/// The way that takes less time on this processor: tried, in some hundred microseconds.
Lookup faster_lookup(const uint32_t* table);

}  // namespace previt::loops
