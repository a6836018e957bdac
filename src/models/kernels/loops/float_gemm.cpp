#include "models/kernels/loops/float_gemm.h"

#include "models/kernels/loops/float_block.h"

namespace previt::loops {
namespace {

using namespace simd;

// All rows of V vectors of columns.
template <class S, int R, int V>
PREVIT_INLINE inline void float_columns(const FloatProduct& x, int64_t j) {
  int64_t i = 0;
  for (; i + R <= x.m; i += R) float_block<S, R, V>(x, i, j);
  for (; i < x.m; ++i) float_block<S, 1, V>(x, i, j);
}

// Rows and vectors of a block fill the registers: 32 of AVX-512, else 16.
template <class S>
PREVIT_INLINE inline void float_gemm_loop(const FloatProduct& x) {
  constexpr bool kMany = S::kLanes == 16;
  constexpr int kRows = 6, kVectors = kMany ? 4 : 2;
  int64_t j = 0;
  for (; j + kVectors * S::kLanes <= x.n; j += kVectors * S::kLanes) {
    float_columns<S, kRows, kVectors>(x, j);
  }
  for (; j < x.n; j += S::kLanes) float_columns<S, 2 * kRows, 1>(x, j);
}

}  // namespace

void float_gemm(const FloatLeft& a,
                const float* b,
                int64_t ldb,
                float* c,
                int64_t ldc,
                int64_t m,
                int64_t n,
                int64_t k,
                bool add) {
  const FloatProduct x{a, b, ldb, c, ldc, m, n, k, add};
  by_level([=](auto lanes) PREVIT_INLINE { float_gemm_loop<Simd<lanes>>(x); });
}

}  // namespace previt::loops
