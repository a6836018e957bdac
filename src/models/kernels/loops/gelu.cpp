#include "models/kernels/loops/gelu.h"

#include <algorithm>

namespace previt::loops {
namespace {

using namespace simd;

// 0.39894228 is 1 / √(2π).
template <class S>
PREVIT_INLINE inline void gelu_loop(
    const float* x, const float* bias, float* y, float* d, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    for (int64_t c = 0; c < columns; c += S::kLanes) {
      typename S::Vec v, b, e, cdf;
      S::load_some(x + c, columns - c, v);
      S::load_some(bias + c, columns - c, b);
      v += b;
      S::exp(v * v * -0.5f, e);
      S::normal_cdf(v, e, cdf);
      S::store_some(y + c, columns - c, v * cdf);
      if (d != nullptr) S::store_some(d + c, columns - c, cdf + v * e * 0.39894228f);
    }
    if (d != nullptr) d += columns;
  }
}

template <class S>
PREVIT_INLINE inline void gelu_lookup_loop(const uint32_t* table,
                                           const Bf16* x,
                                           const float* bias,
                                           Bf16* y,
                                           Bf16* d,
                                           int64_t rows,
                                           int64_t columns) {
  constexpr int64_t kChunk = 256;
  Bf16 index[kChunk];
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    for (int64_t begin = 0; begin < columns; begin += kChunk) {
      const int64_t n = std::min(kChunk, columns - begin);
      for (int64_t c = 0; c < n; c += S::kLanes) {
        typename S::Vec v, b;
        S::load_some(x + begin + c, n - c, v);
        S::load_some(bias + begin + c, n - c, b);
        S::store(index + c, v + b);
      }
      if (d == nullptr) {
        for (int64_t c = 0; c < n; ++c) {
          y[begin + c].bits = static_cast<uint16_t>(table[index[c].bits]);
        }
        continue;
      }
      for (int64_t c = 0; c < n; ++c) {
        const uint32_t both = table[index[c].bits];
        y[begin + c].bits = static_cast<uint16_t>(both);
        d[begin + c].bits = static_cast<uint16_t>(both >> 16);
      }
    }
    if (d != nullptr) d += columns;
  }
}

}  // namespace

void gelu_rows(
    const float* x, const float* bias, float* y, float* d, int64_t rows, int64_t columns) {
  by_level([=](auto lanes) PREVIT_INLINE { gelu_loop<Simd<lanes>>(x, bias, y, d, rows, columns); });
}

void gelu_lookup_rows(const uint32_t* table,
                      const Bf16* x,
                      const float* bias,
                      Bf16* y,
                      Bf16* d,
                      int64_t rows,
                      int64_t columns) {
  by_level([=](auto lanes) PREVIT_INLINE {
    gelu_lookup_loop<Simd<lanes>>(table, x, bias, y, d, rows, columns);
  });
}

}  // namespace previt::loops
