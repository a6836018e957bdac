#pragma once

#include <cstdint>

#include "models/kernels/loops/simd.h"

namespace previt::loops {

// NOTE [Layouts] The second operand of a matmul (gemm.h) holds in one dword two values
// that are neighbours along the summed index. Rows X [n, width] are needed in four layouts:
//
//   - rows: the first operand of a sum over width, in place or copied into padding;
//   - across: the second operand of a sum over width, dword (j, r) = X[r][2j, 2j+1];
//   - down: the second operand of a sum over n, dword (j, c) = X[2j][c], X[2j+1][c];
//   - columns: the first operand of a sum over n, Xᵀ, which is `down` with its dwords transposed.
//
// Padding is zeroed once, and nothing but zeros is written to it later.

/// x [n, width], its rows `stride` apart, to rows `ld` apart.
void copy_rows(
    const simd::Bf16* x, int64_t stride, int64_t n, int64_t width, simd::Bf16* out, int64_t ld);

/// out (c, r) = x (r, c), with leading dimensions ldx and ld, a multiple of 16. out begins as
/// zeros; what lies beyond its r < rows stays zero.
void transpose_dwords(
    const uint32_t* x, int64_t ldx, int64_t rows, int64_t columns, uint32_t* out, int64_t ld);

/// Pairs of rows of x [rows, width] into dwords, the layout `down`. An odd last row is paired with
/// zeros.
void pack_down(
    const simd::Bf16* x, int64_t ldx, int64_t rows, int64_t width, uint32_t* out, int64_t ld);

/// p = exp(logits·scale + bias - max) for n values, zero from there to `padded`. Sets row_max and
/// returns the sum of p. bias may be null; scratch holds `padded` floats, and may be p. T: float or
/// simd::Bf16.
template <class T>
float softmax_row(const float* logits,
                  const float* bias,
                  float scale,
                  int64_t n,
                  int64_t padded,
                  float* scratch,
                  T* p,
                  float* row_max);

/// out [n] = x·factor. T: float or simd::Bf16.
template <class T>
void scale_row(const float* x, float factor, int64_t n, T* out);

/// out [width, n], rows `ld` apart, = xᵀ for x [n, width], its rows `stride` apart. ld is at least
/// n rounded up to a multiple of simd::kLanes. out begins as zeros; what lies beyond n stays zero.
void transpose_rows(
    const float* x, int64_t stride, int64_t n, int64_t width, float* out, int64_t ld);

/// p = exp(logits·scale + bias - log_sum) replaces logits, ds = p (dp - Σ p dp) replaces dp, and
/// dbias += ds. bias and dbias may be null. logits and dp go on to a multiple of simd::kLanes, dp
/// with finite values.
void softmax_backward_row(float* logits,
                          const float* bias,
                          float scale,
                          float log_sum,
                          int64_t n,
                          float* dp,
                          float* dbias);

/// Two rows of floats → their bfloat16 pairs in the layout `down`, and the rows themselves in
/// bfloat16 unless first_row is null.
void store_pairs(const float* first,
                 const float* second,
                 int64_t padded,
                 uint32_t* down,
                 simd::Bf16* first_row,
                 simd::Bf16* second_row);

/// out [n, width], rows `stride` apart, = xᵀ·factor for x [width, n] floats.
void store_transposed(const float* x,
                      int64_t ldx,
                      int64_t n,
                      int64_t width,
                      float factor,
                      simd::Bf16* out,
                      int64_t stride);

}  // namespace previt::loops
