#pragma once

#include "models/kernels/loops/float_gemm.h"

namespace previt::loops {

/// A right operand [k, n]: element (p, j) at data[p·row + j·column]. Either of them is 1.
struct FloatRight {
  const float* data;
  int64_t row, column;
};

/// C [m, n] = A B on one thread for operands of any size. Of a, row or column is 1. c: rows `ldc`
/// apart. Panels of both are copied as the registers need them (Goto and van de Geijn 2008).
void float_panels(const FloatLeft& a,
                  const FloatRight& b,
                  float* c,
                  int64_t ldc,
                  int64_t m,
                  int64_t n,
                  int64_t k);

}  // namespace previt::loops
