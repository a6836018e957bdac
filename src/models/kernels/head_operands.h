#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "models/kernels/head_attention.h"
#include "models/kernels/loops/heads.h"

namespace previt::heads {

// What the forward and the backward pass of HeadAttention share: memory, sizes, and the four
// layouts of NOTE [Layouts] (head_loops.h).

constexpr int64_t kRows = 32;  ///< queries that are computed at a time

inline int64_t up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Memory for n values: zeroed, and aligned to cache lines.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t n)
      : data_(static_cast<T*>(std::aligned_alloc(64, up(n * sizeof(T), 64)))) {
    std::memset(static_cast<void*>(data_.get()), 0, n * sizeof(T));
  }
  T* get() const { return data_.get(); }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
};

inline uint32_t* dwords(simd::Bf16* p) { return reinterpret_cast<uint32_t*>(p); }
inline const uint32_t* dwords(const simd::Bf16* p) { return reinterpret_cast<const uint32_t*>(p); }

/// A head's sizes, rounded up to what the matmuls and the loops need.
struct Sizes {
  explicit Sizes(const HeadAttention<simd::Bf16>& a) : Sizes(a, tile_multiples(a.level)) {}
  Sizes(const HeadAttention<simd::Bf16>& a, TileMultiples multiples)
      : row_multiple(multiples.rows),
        queries(up(a.queries, std::max(multiples.rows, multiples.inner))),
        query_lanes(up(a.queries, 2 * simd::kLanes)),
        keys(up(a.keys, std::max(simd::kLanes, multiples.inner))),
        width(up(a.width, 32)),
        columns(up(a.width, simd::kLanes)) {}
  int64_t row_multiple, queries, query_lanes, keys, width, columns;
};

/// The rows of one head as operands of matmuls.
class Operands {
 public:
  Operands(const HeadAttention<simd::Bf16>& a, const Sizes& s)
      : width_(a.width), s_(s), rows_(kRows * s.width), down_(s.queries / 2 * s.width) {}

  struct Rows {
    const simd::Bf16* data;
    int64_t stride;
  };

  /// Left operand of `padded` rows, of which only the first n, those of x, matter. It lies in x if
  /// x has all of them; else it is a copy that lasts until the next call.
  Rows left(const simd::Bf16* x, int64_t stride, int64_t n, int64_t padded) const {
    if (n == padded && width_ == s_.width) return {x, stride};
    loops::copy_rows(x, stride, n, width_, rows_.get(), s_.width);
    return {rows_.get(), s_.width};
  }

  /// Right operand of a matmul with the rows' transpose.
  void across(const simd::Bf16* x,
              int64_t stride,
              int64_t n,
              const Buffer<uint32_t>& out,
              int64_t ld) const {
    // With an odd width a row's last value has no partner: rows go through padding first.
    if (width_ % 2 == 0) {
      loops::transpose_dwords(dwords(x), stride / 2, n, width_ / 2, out.get(), ld);
      return;
    }
    for (int64_t first = 0; first < n; first += kRows) {
      const int64_t count = std::min(kRows, n - first);
      loops::copy_rows(x + first * stride, stride, count, width_, rows_.get(), s_.width);
      loops::transpose_dwords(
          dwords(rows_.get()), s_.width / 2, count, s_.width / 2, out.get() + first, ld);
    }
  }

  /// Right operand of a matmul with the rows themselves.
  void down(const simd::Bf16* x,
            int64_t stride,
            int64_t n,
            const Buffer<uint32_t>& out,
            int64_t ld) const {
    loops::pack_down(x, stride, n, width_, out.get(), ld);
  }

  /// Left operand that is the rows' transpose, [width, query_lanes].
  void columns(const simd::Bf16* x,
               int64_t stride,
               int64_t n,
               const Buffer<simd::Bf16>& out) const {
    down(x, stride, n, down_, s_.width);
    loops::transpose_dwords(
        down_.get(), s_.width, s_.queries / 2, s_.width, dwords(out.get()), s_.query_lanes / 2);
  }

 private:
  int64_t width_;
  const Sizes& s_;
  Buffer<simd::Bf16> rows_;
  Buffer<uint32_t> down_;
};

}  // namespace previt::heads
