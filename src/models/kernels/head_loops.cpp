#include "models/kernels/head_loops.h"

#include <algorithm>
#include <cmath>

namespace previt::loops {

using namespace simd;

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

PREVIT_CLONES void transpose_dwords(
    const uint32_t* x, int64_t ldx, int64_t rows, int64_t columns, uint32_t* out, int64_t ld) {
  const int64_t whole = columns / kLanes * kLanes;
  for (int64_t r0 = 0; r0 < rows; r0 += kLanes) {
    const int64_t count = std::min(kLanes, rows - r0);
    for (int64_t c0 = 0; c0 < whole; c0 += kLanes) {
      VecUint block[kLanes] = {};
      for (int64_t r = 0; r < count; ++r)
        std::memcpy(&block[r], x + (r0 + r) * ldx + c0, sizeof block[r]);
      transpose(block);
      for (int64_t c = 0; c < kLanes; ++c)
        std::memcpy(out + (c0 + c) * ld + r0, &block[c], sizeof block[c]);
    }
    for (int64_t c = whole; c < columns; ++c) {
      for (int64_t r = 0; r < count; ++r) out[c * ld + r0 + r] = x[(r0 + r) * ldx + c];
    }
  }
}

PREVIT_CLONES void pack_down(
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

PREVIT_CLONES float softmax_row(const float* logits,
                                const float* bias,
                                float scale,
                                int64_t n,
                                int64_t padded,
                                float* scratch,
                                Bf16* p,
                                float* row_max) {
  Vec top = Vec{} - INFINITY;
  for (int64_t c = 0; c < n; c += kLanes) {
    Vec v, b;
    load(logits + c, v);
    v *= scale;
    if (bias != nullptr) {
      load_some(bias + c, n - c, b);
      v += b;
    }
    if (n - c < kLanes) fill_from(n - c, -INFINITY, v);
    store(scratch + c, v);
    top = v > top ? v : top;
  }
  // Where everything is masked, the maximum is -inf, and -inf less itself would be NaN.
  const float m = std::max(simd::max(top), -1e30f);
  Vec total = {};
  for (int64_t c = 0; c < padded; c += kLanes) {
    Vec e = {};
    if (c < n) {
      Vec v;
      load(scratch + c, v);
      simd::exp(v - m, e);
    }
    total += e;
    store(p + c, e);
  }
  *row_max = m;
  return simd::sum(total);
}

PREVIT_CLONES void scale_row(const float* x, float factor, int64_t n, Bf16* out) {
  for (int64_t c = 0; c < n; c += kLanes) {
    Vec v;
    load(x + c, v);
    store_some(out + c, n - c, v * factor);
  }
}

PREVIT_CLONES void softmax_backward_row(float* logits,
                                        const float* bias,
                                        float scale,
                                        float log_sum,
                                        int64_t n,
                                        float* dp,
                                        float* dbias) {
  Vec total = {};
  for (int64_t c = 0; c < n; c += kLanes) {
    Vec v, b, g, e;
    load(logits + c, v);
    load(dp + c, g);
    v = v * scale - log_sum;
    if (bias != nullptr) {
      load_some(bias + c, n - c, b);
      v += b;
    }
    simd::exp(v, e);
    if (n - c < kLanes) fill_from(n - c, 0, e);
    store(logits + c, e);
    total += e * g;
  }
  const float delta = simd::sum(total);
  for (int64_t c = 0; c < n; c += kLanes) {
    Vec e, g;
    load(logits + c, e);
    load(dp + c, g);
    g = e * (g - delta);
    if (dbias != nullptr) {
      Vec d;
      load_some(dbias + c, n - c, d);
      store_some(dbias + c, n - c, d + g);
    }
    store(dp + c, g);
  }
}

PREVIT_CLONES void store_pairs(const float* first,
                               const float* second,
                               int64_t padded,
                               uint32_t* down,
                               Bf16* first_row,
                               Bf16* second_row) {
  for (int64_t c = 0; c < padded; c += kLanes) {
    Vec v, w;
    load(first + c, v);
    load(second + c, w);
    VecHalf low, high;
    Bf16 a[kLanes], b[kLanes];
    store(a, v);
    store(b, w);
    std::memcpy(&low, a, sizeof low);
    std::memcpy(&high, b, sizeof high);
    const VecUint both =
        __builtin_convertvector(low, VecUint) | __builtin_convertvector(high, VecUint) << 16;
    std::memcpy(down + c, &both, sizeof both);
    if (first_row != nullptr) {
      std::memcpy(first_row + c, a, sizeof a);
      std::memcpy(second_row + c, b, sizeof b);
    }
  }
}

PREVIT_CLONES void store_transposed(const float* x,
                                    int64_t ldx,
                                    int64_t n,
                                    int64_t width,
                                    float factor,
                                    Bf16* out,
                                    int64_t stride) {
  for (int64_t r0 = 0; r0 < n; r0 += kLanes) {
    const int64_t rows = std::min(kLanes, n - r0);
    for (int64_t c0 = 0; c0 < width; c0 += kLanes) {
      Vec block[kLanes];
      for (int64_t c = 0; c < kLanes; ++c) load(x + (c0 + c) * ldx + r0, block[c]);
      transpose(block);
      for (int64_t r = 0; r < rows; ++r)
        store_some(out + (r0 + r) * stride + c0, width - c0, block[r] * factor);
    }
  }
}

}  // namespace previt::loops
