#pragma once

#include <cstdint>

namespace previt::loops {

/// A left operand [m, k]: element (i, p) at data[i·row + p·column]. So a transpose needs no copy.
struct FloatLeft {
  const float* data;
  int64_t row, column;
};

/// C [m, n] = A B, or C += A B, on one thread, for float32 operands that fit a core's cache.
/// b: k rows, `ldb` apart; c: m rows, `ldc` apart. n is a multiple of simd::kLanes.
void float_gemm(const FloatLeft& a,
                const float* b,
                int64_t ldb,
                float* c,
                int64_t ldc,
                int64_t m,
                int64_t n,
                int64_t k,
                bool add);

}  // namespace previt::loops
