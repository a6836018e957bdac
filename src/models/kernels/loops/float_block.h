#pragma once

#include "models/kernels/loops/float_gemm.h"
#include "models/kernels/loops/simd.h"

namespace previt::loops {

/// The arguments of float_gemm.
struct FloatProduct {
  FloatLeft a;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc, m, n, k;
  bool add;
};

/// R rows by V vectors of C from row i and column j on, held in registers.
template <class S, int R, int V>
PREVIT_INLINE inline void float_block(const FloatProduct& x, int64_t i, int64_t j) {
  typename S::Vec sums[R][V] = {};
  const float *a = x.a.data + i * x.a.row, *b = x.b + j;
  for (int64_t p = 0; p < x.k; ++p, a += x.a.column, b += x.ldb) {
    typename S::Vec right[V];
    for (int v = 0; v < V; ++v) S::load(b + v * S::kLanes, right[v]);
    for (int r = 0; r < R; ++r) {
      const float left = a[r * x.a.row];
      for (int v = 0; v < V; ++v) sums[r][v] += right[v] * left;
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) {
      float* to = x.c + (i + r) * x.ldc + j + v * S::kLanes;
      if (x.add) {
        typename S::Vec before;
        S::load(to, before);
        sums[r][v] += before;
      }
      S::store(to, sums[r][v]);
    }
  }
}

}  // namespace previt::loops
