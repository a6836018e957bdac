#include "models/kernels/loops/heads.h"

#include <algorithm>
#include <cmath>

namespace previt::loops {

using namespace simd;

namespace {

template <class S>
PREVIT_INLINE inline void transpose_dwords_loop(
    const uint32_t* x, int64_t ldx, int64_t rows, int64_t columns, uint32_t* out, int64_t ld) {
  const int64_t whole = columns / S::kLanes * S::kLanes;
  for (int64_t r0 = 0; r0 < rows; r0 += S::kLanes) {
    const int64_t count = std::min(S::kLanes, rows - r0);
    for (int64_t c0 = 0; c0 < whole; c0 += S::kLanes) {
      typename S::VecUint block[S::kLanes] = {};
      for (int64_t r = 0; r < count; ++r)
        std::memcpy(&block[r], x + (r0 + r) * ldx + c0, sizeof block[r]);
      S::transpose(block);
      for (int64_t c = 0; c < S::kLanes; ++c)
        std::memcpy(out + (c0 + c) * ld + r0, &block[c], sizeof block[c]);
    }
    for (int64_t c = whole; c < columns; ++c) {
      for (int64_t r = 0; r < count; ++r) out[c * ld + r0 + r] = x[(r0 + r) * ldx + c];
    }
  }
}

template <class S>
PREVIT_INLINE inline void transpose_rows_loop(
    const float* x, int64_t stride, int64_t n, int64_t width, float* out, int64_t ld) {
  for (int64_t r0 = 0; r0 < n; r0 += S::kLanes) {
    const int64_t rows = std::min(S::kLanes, n - r0);
    for (int64_t c0 = 0; c0 < width; c0 += S::kLanes) {
      typename S::Vec block[S::kLanes] = {};
      for (int64_t r = 0; r < rows; ++r)
        S::load_some(x + (r0 + r) * stride + c0, width - c0, block[r]);
      S::transpose(block);
      for (int64_t c = 0; c < std::min(S::kLanes, width - c0); ++c)
        S::store(out + (c0 + c) * ld + r0, block[c]);
    }
  }
}

template <class S>
PREVIT_INLINE inline void pack_down_loop(
    const Bf16* x, int64_t ldx, int64_t rows, int64_t width, uint32_t* out, int64_t ld) {
  for (int64_t j = 0; j < rows / 2; ++j) {
    const Bf16 *first = x + 2 * j * ldx, *second = first + ldx;
    for (int64_t c = 0; c < width; ++c)
      out[j * ld + c] = first[c].bits | uint32_t{second[c].bits} << 16;
  }
  if (rows % 2 == 0) return;
  const Bf16* last = x + (rows - 1) * ldx;
  for (int64_t c = 0; c < width; ++c) out[rows / 2 * ld + c] = last[c].bits;
}

template <class S, class T>
PREVIT_INLINE inline float softmax_row_loop(const float* logits,
                                            const float* bias,
                                            float scale,
                                            int64_t n,
                                            int64_t padded,
                                            float* scratch,
                                            T* p,
                                            float* row_max) {
  typename S::Vec top = typename S::Vec{} - INFINITY;
  for (int64_t c = 0; c < n; c += S::kLanes) {
    typename S::Vec v, b;
    S::load(logits + c, v);
    v *= scale;
    if (bias != nullptr) {
      S::load_some(bias + c, n - c, b);
      v += b;
    }
    if (n - c < S::kLanes) S::fill_from(n - c, -INFINITY, v);
    S::store(scratch + c, v);
    top = v > top ? v : top;
  }
  // Where everything is masked, the maximum is -inf, and -inf less itself would be NaN.
  const float m = std::max(S::max(top), -1e30f);
  typename S::Vec total = {};
  for (int64_t c = 0; c < padded; c += S::kLanes) {
    typename S::Vec e = {};
    if (c < n) {
      typename S::Vec v;
      S::load(scratch + c, v);
      S::exp(v - m, e);
    }
    total += e;
    S::store(p + c, e);
  }
  *row_max = m;
  return S::sum(total);
}

template <class S, class T>
PREVIT_INLINE inline void scale_row_loop(const float* x, float factor, int64_t n, T* out) {
  for (int64_t c = 0; c < n; c += S::kLanes) {
    typename S::Vec v;
    S::load_some(x + c, n - c, v);
    S::store_some(out + c, n - c, v * factor);
  }
}

template <class S>
PREVIT_INLINE inline void softmax_backward_row_loop(float* logits,
                                                    const float* bias,
                                                    float scale,
                                                    float log_sum,
                                                    int64_t n,
                                                    float* dp,
                                                    float* dbias) {
  typename S::Vec total = {};
  for (int64_t c = 0; c < n; c += S::kLanes) {
    typename S::Vec v, b, g, e;
    S::load(logits + c, v);
    S::load(dp + c, g);
    v = v * scale - log_sum;
    if (bias != nullptr) {
      S::load_some(bias + c, n - c, b);
      v += b;
    }
    S::exp(v, e);
    if (n - c < S::kLanes) S::fill_from(n - c, 0, e);
    S::store(logits + c, e);
    total += e * g;
  }
  const float delta = S::sum(total);
  for (int64_t c = 0; c < n; c += S::kLanes) {
    typename S::Vec e, g;
    S::load(logits + c, e);
    S::load(dp + c, g);
    g = e * (g - delta);
    if (dbias != nullptr) {
      typename S::Vec d;
      S::load_some(dbias + c, n - c, d);
      S::store_some(dbias + c, n - c, d + g);
    }
    S::store(dp + c, g);
  }
}

template <class S>
PREVIT_INLINE inline void store_pairs_loop(const float* first,
                                           const float* second,
                                           int64_t padded,
                                           uint32_t* down,
                                           Bf16* first_row,
                                           Bf16* second_row) {
  for (int64_t c = 0; c < padded; c += S::kLanes) {
    typename S::Vec v, w;
    S::load(first + c, v);
    S::load(second + c, w);
    typename S::VecHalf low, high;
    Bf16 a[S::kLanes], b[S::kLanes];
    S::store(a, v);
    S::store(b, w);
    std::memcpy(&low, a, sizeof low);
    std::memcpy(&high, b, sizeof high);
    typename S::VecUint left, right;
    S::widen(low, left);
    S::widen(high, right);
    const typename S::VecUint both = left | right << 16;
    std::memcpy(down + c, &both, sizeof both);
    if (first_row != nullptr) {
      std::memcpy(first_row + c, a, sizeof a);
      std::memcpy(second_row + c, b, sizeof b);
    }
  }
}

template <class S>
PREVIT_INLINE inline void store_transposed_loop(const float* x,
                                                int64_t ldx,
                                                int64_t n,
                                                int64_t width,
                                                float factor,
                                                Bf16* out,
                                                int64_t stride) {
  for (int64_t r0 = 0; r0 < n; r0 += S::kLanes) {
    const int64_t rows = std::min(S::kLanes, n - r0);
    for (int64_t c0 = 0; c0 < width; c0 += S::kLanes) {
      typename S::Vec block[S::kLanes];
      for (int64_t c = 0; c < S::kLanes; ++c) S::load(x + (c0 + c) * ldx + r0, block[c]);
      S::transpose(block);
      for (int64_t r = 0; r < rows; ++r)
        S::store_some(out + (r0 + r) * stride + c0, width - c0, block[r] * factor);
    }
  }
}

}  // namespace

void copy_rows(const Bf16* x, int64_t stride, int64_t n, int64_t width, Bf16* out, int64_t ld) {
  // Pieces of a fixed size: a call of memcpy per row would cost more than the copy.
  constexpr int64_t kStep = 8;
  for (int64_t r = 0; r < n; ++r) {
    const Bf16* from = x + r * stride;
    Bf16* to = out + r * ld;
    int64_t c = 0;
    for (; c + kStep <= width; c += kStep) std::memcpy(to + c, from + c, kStep * sizeof(Bf16));
    for (; c < width; ++c) to[c] = from[c];
  }
}

void transpose_dwords(
    const uint32_t* x, int64_t ldx, int64_t rows, int64_t columns, uint32_t* out, int64_t ld) {
  by_level([=](auto lanes) PREVIT_INLINE {
    transpose_dwords_loop<Simd<lanes>>(x, ldx, rows, columns, out, ld);
  });
}

void pack_down(const Bf16* x, int64_t ldx, int64_t rows, int64_t width, uint32_t* out, int64_t ld) {
  by_level([=](auto lanes)
               PREVIT_INLINE { pack_down_loop<Simd<lanes>>(x, ldx, rows, width, out, ld); });
}

template <class T>
float softmax_row(const float* logits,
                  const float* bias,
                  float scale,
                  int64_t n,
                  int64_t padded,
                  float* scratch,
                  T* p,
                  float* row_max) {
  return by_level_bf16([=](auto lanes) PREVIT_INLINE {
    return softmax_row_loop<Simd<lanes>>(logits, bias, scale, n, padded, scratch, p, row_max);
  });
}
template float softmax_row(
    const float*, const float*, float, int64_t, int64_t, float*, float*, float*);
template float softmax_row(
    const float*, const float*, float, int64_t, int64_t, float*, Bf16*, float*);

template <class T>
void scale_row(const float* x, float factor, int64_t n, T* out) {
  by_level_bf16([=](auto lanes) PREVIT_INLINE { scale_row_loop<Simd<lanes>>(x, factor, n, out); });
}
template void scale_row(const float*, float, int64_t, float*);
template void scale_row(const float*, float, int64_t, Bf16*);

void transpose_rows(
    const float* x, int64_t stride, int64_t n, int64_t width, float* out, int64_t ld) {
  by_level([=](auto lanes)
               PREVIT_INLINE { transpose_rows_loop<Simd<lanes>>(x, stride, n, width, out, ld); });
}

void softmax_backward_row(float* logits,
                          const float* bias,
                          float scale,
                          float log_sum,
                          int64_t n,
                          float* dp,
                          float* dbias) {
  by_level([=](auto lanes) PREVIT_INLINE {
    softmax_backward_row_loop<Simd<lanes>>(logits, bias, scale, log_sum, n, dp, dbias);
  });
}

void store_pairs(const float* first,
                 const float* second,
                 int64_t padded,
                 uint32_t* down,
                 Bf16* first_row,
                 Bf16* second_row) {
  by_level_bf16([=](auto lanes) PREVIT_INLINE {
    store_pairs_loop<Simd<lanes>>(first, second, padded, down, first_row, second_row);
  });
}

void store_transposed(const float* x,
                      int64_t ldx,
                      int64_t n,
                      int64_t width,
                      float factor,
                      Bf16* out,
                      int64_t stride) {
  by_level_bf16([=](auto lanes) PREVIT_INLINE {
    store_transposed_loop<Simd<lanes>>(x, ldx, n, width, factor, out, stride);
  });
}

}  // namespace previt::loops
