#include "models/kernels/loops/gelu.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "clocks.h"

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

// x + bias rounded to bfloat16, of the first n lanes, at most all.
template <class S>
PREVIT_INLINE inline void biased(const Bf16* x, const float* bias, int64_t n, Bf16* sums) {
  typename S::Vec v, b;
  S::load_some(x, n, v);
  S::load_some(bias, n, b);
  S::store(sums, v + b);
}

// A row, of which each entry of the table is read by itself.
template <class S>
PREVIT_INLINE inline void gelu_single(
    const uint32_t* table, const Bf16* x, const float* bias, Bf16* y, Bf16* d, int64_t columns) {
  constexpr int64_t kChunk = 256;
  Bf16 index[kChunk];
  for (int64_t begin = 0; begin < columns; begin += kChunk) {
    const int64_t n = std::min(kChunk, columns - begin);
    for (int64_t c = 0; c < n; c += S::kLanes)
      biased<S>(x + begin + c, bias + begin + c, n - c, index + c);
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
}

// The same row, by Simd::gather.
template <class S>
PREVIT_INLINE inline void gelu_gathered(
    const uint32_t* table, const Bf16* x, const float* bias, Bf16* y, Bf16* d, int64_t columns) {
  const auto vector = [&](int64_t c, int64_t n) PREVIT_INLINE {
    Bf16 index[S::kLanes];
    biased<S>(x + c, bias + c, n, index);
    typename S::VecUint both;
    S::gather(table, index, both);
    S::store_low_halves(y + c, n, both);
    if (d != nullptr) S::store_low_halves(d + c, n, both >> 16);
  };
  const int64_t whole = columns / S::kLanes * S::kLanes;
  for (int64_t c = 0; c < whole; c += S::kLanes) vector(c, S::kLanes);
  if (whole < columns) vector(whole, columns - whole);
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
                      int64_t columns,
                      Lookup way) {
  by_level_bf16([=](auto lanes) PREVIT_INLINE {
    for (int64_t at = 0; at < rows * columns; at += columns) {
      Bf16* const derivative = d == nullptr ? nullptr : d + at;
      if (way == Lookup::gathered) {
        gelu_gathered<Simd<lanes>>(table, x + at, bias, y + at, derivative, columns);
      } else {
        gelu_single<Simd<lanes>>(table, x + at, bias, y + at, derivative, columns);
      }
    }
  });
}

Lookup faster_lookup(const uint32_t* table) {
  constexpr int64_t rows = 8, columns = 1024;
  constexpr int kRepeats = 5;
  std::vector<Bf16> x(rows * columns), y(x.size()), d(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    // ±[0.25, 4), in no order: where most of a network's values lie.
    const auto magnitude = static_cast<uint16_t>(0x3e80 + i * 40503 % 512);
    x[i].bits = static_cast<uint16_t>(magnitude | i % 2 << 15);
  }
  const std::vector<float> bias(columns);
  const auto seconds_of = [&](Lookup way) {
    const auto start = std::chrono::steady_clock::now();
    gelu_lookup_rows(table, x.data(), bias.data(), y.data(), d.data(), rows, columns, way);
    return seconds_since(start);
  };
  double single = INFINITY, gathered = INFINITY;
  for (int i = 0; i < kRepeats; ++i) {
    single = std::min(single, seconds_of(Lookup::single));
    gathered = std::min(gathered, seconds_of(Lookup::gathered));
  }
  return gathered < single ? Lookup::gathered : Lookup::single;
}

}  // namespace previt::loops
