#include "models/kernels/loops/columns.h"

#include <algorithm>
#include <type_traits>

namespace previt::loops {
namespace {

using namespace simd;

template <class S, class T>
PREVIT_INLINE inline void add_bias_loop(T* y, const float* bias, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, y += columns) {
    for (int64_t c = 0; c < columns; c += S::kLanes) {
      typename S::Vec v, b;
      S::load_some(y + c, columns - c, v);
      S::load_some(bias + c, columns - c, b);
      S::store_some(y + c, columns - c, v + b);
    }
  }
}

// V vectors of columns.
template <class S, int V, class T>
PREVIT_INLINE inline void column_block(
    const T* a, const T* b, T* out, float* sums, int64_t rows, int64_t stride, int64_t width) {
  typename S::Vec totals[V] = {};
  for (int64_t r = 0; r < rows; ++r) {
    for (int i = 0; i < V; ++i) {
      const int64_t at = r * stride + i * S::kLanes, left = width - i * S::kLanes;
      typename S::Vec v, w;
      S::load_some(a + at, left, v);
      if (out != nullptr) {
        S::load_some(b + at, left, w);
        v *= w;
        S::store_some(out + at, left, v);
      }
      totals[i] += v;
    }
  }
  for (int i = 0; i < V; ++i) {
    typename S::Vec s;
    S::load_some(sums + i * S::kLanes, width - i * S::kLanes, s);
    S::store_some(sums + i * S::kLanes, width - i * S::kLanes, s + totals[i]);
  }
}

template <class S, class T>
PREVIT_INLINE inline void columns_loop(const T* a,
                                       const T* b,
                                       T* out,
                                       float* sums,
                                       int64_t rows,
                                       int64_t stride,
                                       int64_t begin,
                                       int64_t end) {
  constexpr int kVectors = 4;
  // So few rows at a time that each is read on and on, which a processor sees and reads ahead.
  constexpr int64_t kRows = 4;
  const auto from = [](auto* p, int64_t at) { return p == nullptr ? p : p + at; };
  for (int64_t r = 0; r < rows; r += kRows) {
    const int64_t count = std::min(kRows, rows - r);
    const auto block = [&](auto vectors, int64_t c, int64_t width) PREVIT_INLINE {
      const int64_t at = r * stride + c;
      column_block<S, vectors>(a + at, from(b, at), from(out, at), sums + c, count, stride, width);
    };
    int64_t c = begin;
    for (; c + kVectors * S::kLanes <= end; c += kVectors * S::kLanes) {
      block(std::integral_constant<int, kVectors>(), c, kVectors * S::kLanes);
    }
    for (; c < end; c += S::kLanes) block(std::integral_constant<int, 1>(), c, end - c);
  }
}

template <class S>
PREVIT_INLINE inline void sum_parts_loop(
    const Bf16* parts, int64_t count, int64_t stride, float* y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += S::kLanes) {
    typename S::Vec sum = {}, v;
    for (int64_t p = 0; p < count; ++p) {
      S::load_some(parts + p * stride + i, end - i, v);
      sum += v;
    }
    S::store_some(y + i, end - i, sum);
  }
}

}  // namespace

template <class T>
void add_bias_rows(T* y, const float* bias, int64_t rows, int64_t columns) {
  by_level([=](auto lanes)
               PREVIT_INLINE { add_bias_loop<Simd<lanes>, T>(y, bias, rows, columns); });
}

template <class T>
void sum_columns(const T* a,
                 const T* b,
                 T* out,
                 float* sums,
                 int64_t rows,
                 int64_t stride,
                 int64_t begin,
                 int64_t end) {
  by_level([=](auto lanes) PREVIT_INLINE {
    columns_loop<Simd<lanes>, T>(a, b, out, sums, rows, stride, begin, end);
  });
}

void sum_parts(
    const Bf16* parts, int64_t count, int64_t stride, float* y, int64_t begin, int64_t end) {
  by_level([=](auto lanes)
               PREVIT_INLINE { sum_parts_loop<Simd<lanes>>(parts, count, stride, y, begin, end); });
}

template void add_bias_rows(float*, const float*, int64_t, int64_t);
template void add_bias_rows(Bf16*, const float*, int64_t, int64_t);
template void sum_columns(
    const float*, const float*, float*, float*, int64_t, int64_t, int64_t, int64_t);
template void sum_columns(
    const Bf16*, const Bf16*, Bf16*, float*, int64_t, int64_t, int64_t, int64_t);

}  // namespace previt::loops
