#include "models/kernels/loops/float_panels.h"

#include <algorithm>
#include <memory>

#include "models/kernels/loops/float_block.h"

namespace previt::loops {
namespace {

using namespace simd;

constexpr int64_t kDepth = 256;  // a strip of B of so many rows stays in the first cache

// The block of C that fills the registers: 32 of AVX-512, else 16.
template <class S>
struct Tile {
  static constexpr int kRows = S::kLanes == 16 ? 12 : S::kLanes == 8 ? 6 : 4, kVectors = 2;
  static constexpr int64_t kColumns = kVectors * S::kLanes;
};

// `count` columns of x become rows of out, which holds `width` values a row; x (i, p), i < count, is
// at x[i·stride + p] if `along`, else at x[i + p·stride]. Rows end with zeros. Vectors are stored
// whole: what reaches into the next row is overwritten there, and out has room behind the last.
template <class S, int Width>
PREVIT_INLINE inline void pack_strip(
    const float* x, int64_t stride, bool along, int64_t count, int64_t depth, float* out) {
  if (!along) {
    for (int64_t p = 0; p < depth; ++p) {
      for (int64_t i = 0; i < Width; i += S::kLanes) {
        typename S::Vec v = {};
        if (i < count) S::load_some(x + p * stride + i, count - i, v);
        S::store(out + p * Width + i, v);
      }
    }
    return;
  }
  for (int64_t p = 0; p < depth; p += S::kLanes) {
    const int64_t rows = std::min(S::kLanes, depth - p);
    for (int64_t i = 0; i < Width; i += S::kLanes) {
      typename S::Vec block[S::kLanes] = {};
      for (int64_t r = 0; r < std::min(S::kLanes, count - i); ++r)
        S::load_some(x + (i + r) * stride + p, depth - p, block[r]);
      S::transpose(block);
      for (int64_t r = 0; r < rows; ++r) S::store(out + (p + r) * Width + i, block[r]);
    }
  }
}

// Rows [i, i + height) and columns [j, j + width) of C, from a strip of A and one of B.
template <class S>
PREVIT_INLINE inline void one_tile(const float* a,
                                   const float* b,
                                   float* c,
                                   int64_t ldc,
                                   int64_t height,
                                   int64_t width,
                                   int64_t depth,
                                   bool add) {
  using T = Tile<S>;
  const FloatLeft left{a, 1, T::kRows};
  if (height == T::kRows && width == T::kColumns) {
    return float_block<S, T::kRows, T::kVectors>(
        {left, b, T::kColumns, c, ldc, 0, 0, depth, add}, 0, 0);
  }
  float whole[T::kRows * T::kColumns];
  float_block<S, T::kRows, T::kVectors>(
      {left, b, T::kColumns, whole, T::kColumns, 0, 0, depth, false}, 0, 0);
  for (int64_t r = 0; r < height; ++r) {
    for (int64_t x = 0; x < width; ++x) {
      c[r * ldc + x] = whole[r * T::kColumns + x] + (add ? c[r * ldc + x] : 0.f);
    }
  }
}

struct Panels {
  FloatLeft a;
  FloatRight b;
  float* c;
  int64_t ldc, m, n, k;
  float *a_strips, *b_strip;
};

template <class S>
PREVIT_INLINE inline void panels_loop(const Panels& x) {
  using T = Tile<S>;
  const bool a_along = x.a.column == 1, b_along = x.b.row == 1;
  for (int64_t p = 0; p < x.k; p += kDepth) {
    const int64_t depth = std::min(kDepth, x.k - p);
    for (int64_t i = 0; i < x.m; i += T::kRows) {
      pack_strip<S, T::kRows>(x.a.data + i * x.a.row + p * x.a.column,
                              a_along ? x.a.row : x.a.column,
                              a_along,
                              std::min<int64_t>(T::kRows, x.m - i),
                              depth,
                              x.a_strips + i * depth);
    }
    for (int64_t j = 0; j < x.n; j += T::kColumns) {
      const int64_t width = std::min(T::kColumns, x.n - j);
      pack_strip<S, T::kColumns>(x.b.data + p * x.b.row + j * x.b.column,
                                 b_along ? x.b.column : x.b.row,
                                 b_along,
                                 width,
                                 depth,
                                 x.b_strip);
      for (int64_t i = 0; i < x.m; i += T::kRows) {
        one_tile<S>(x.a_strips + i * depth,
                    x.b_strip,
                    x.c + i * x.ldc + j,
                    x.ldc,
                    std::min<int64_t>(T::kRows, x.m - i),
                    width,
                    depth,
                    p > 0);
      }
    }
  }
}

}  // namespace

void float_panels(const FloatLeft& a,
                  const FloatRight& b,
                  float* c,
                  int64_t ldc,
                  int64_t m,
                  int64_t n,
                  int64_t k) {
  using Largest = Tile<Simd<16>>;
  const int64_t depth = std::min(kDepth, k);
  // With room for what is stored behind the last row.
  const std::unique_ptr<float[]> a_strips(
      new float[(m + 2 * Largest::kRows) * depth + Largest::kColumns]);
  const std::unique_ptr<float[]> b_strip(new float[Largest::kColumns * depth + Largest::kColumns]);
  const Panels x{a, b, c, ldc, m, n, k, a_strips.get(), b_strip.get()};
  by_level([=](auto lanes) PREVIT_INLINE { panels_loop<Simd<lanes>>(x); });
}

}  // namespace previt::loops
