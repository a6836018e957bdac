#pragma once

#include <cstdint>

#include "models/kernels/simd.h"

namespace previt {

/// C [m, n] = A B for bfloat16 operands with float32 sums, one thread, sizes that fit a core's
/// cache. a: rows of k values, `lda` apart. b: pairs of rows, dword (j, c) = (B[2j][c],
/// B[2j+1][c]), its rows `ldb` dwords apart. m and k are multiples of what tile_multiples() says, n
/// of 16.
using SmallGemm = void (*)(const simd::Bf16* a,
                           int64_t lda,
                           const uint32_t* b,
                           int64_t ldb,
                           float* c,
                           int64_t ldc,
                           int64_t m,
                           int64_t n,
                           int64_t k);

enum class GemmLevel { kGeneric, kAvx512Bf16, kAmx };

/// The best that this machine has.
GemmLevel best_gemm_level();

SmallGemm small_gemm(GemmLevel level);

/// What the rows of C and the length of a sum of small_gemm(level) are multiples of.
struct TileMultiples {
  int64_t rows, inner;
};
TileMultiples tile_multiples(GemmLevel level);

/// Holds what a thread needs while it calls a level's SmallGemm (AMX: the tiles' shapes).
class GemmScope {
 public:
  explicit GemmScope(GemmLevel level);
  ~GemmScope();
  GemmScope(const GemmScope&) = delete;
  GemmScope& operator=(const GemmScope&) = delete;

 private:
  GemmLevel level_;
};

}  // namespace previt
