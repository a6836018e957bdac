#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "models/kernels/loop_types.h"
#include "models/kernels/loops.h"
#include "models/kernels/padded_rows.h"

namespace previt::loops {
namespace {

using namespace simd;

// Runs body(begin, end) over ranges of columns on several threads. Ranges begin at multiples of 64
// columns, so that threads don't write to the same cache lines.
template <class F>
void for_columns(int64_t rows, int64_t columns, const F& body) {
  constexpr int64_t kBlock = 64;
  const int64_t blocks = (columns + kBlock - 1) / kBlock;
  at::parallel_for(0, blocks, grain(rows * kBlock), [&](int64_t begin, int64_t end) {
    body(begin * kBlock, std::min(end * kBlock, columns));
  });
}

template <class T>
PREVIT_INLINE inline void add_bias_body(T* y, const float* bias, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, y += columns) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vec v, b;
      load_some(y + c, columns - c, v);
      load_some(bias + c, columns - c, b);
      store_some(y + c, columns - c, v + b);
    }
  }
}
PREVIT_CLONES void add_bias_rows(Bf16* y, const float* b, int64_t rows, int64_t columns) {
  add_bias_body(y, b, rows, columns);
}
PREVIT_CLONES void add_bias_rows(float* y, const float* b, int64_t rows, int64_t columns) {
  add_bias_body(y, b, rows, columns);
}

// V vectors of columns. With `out`, out = a·b and sums += its column sums; without, sums += a's.
template <int V, class T>
PREVIT_INLINE inline void column_block(
    const T* a, const T* b, T* out, float* sums, int64_t rows, int64_t stride, int64_t width) {
  Vec totals[V] = {};
  for (int64_t r = 0; r < rows; ++r) {
    for (int i = 0; i < V; ++i) {
      const int64_t at = r * stride + i * kLanes, left = width - i * kLanes;
      Vec v, w;
      load_some(a + at, left, v);
      if (out != nullptr) {
        load_some(b + at, left, w);
        v *= w;
        store_some(out + at, left, v);
      }
      totals[i] += v;
    }
  }
  for (int i = 0; i < V; ++i) {
    Vec s;
    load_some(sums + i * kLanes, width - i * kLanes, s);
    store_some(sums + i * kLanes, width - i * kLanes, s + totals[i]);
  }
}

template <class T>
PREVIT_INLINE inline void columns_body(const T* a,
                                       const T* b,
                                       T* out,
                                       float* sums,
                                       int64_t rows,
                                       int64_t stride,
                                       int64_t begin,
                                       int64_t end) {
  constexpr int kVectors = 4;
  const auto from = [](auto* p, int64_t c) { return p == nullptr ? p : p + c; };
  int64_t c = begin;
  for (; c + kVectors * kLanes <= end; c += kVectors * kLanes) {
    column_block<kVectors>(
        a + c, from(b, c), from(out, c), sums + c, rows, stride, kVectors * kLanes);
  }
  for (; c < end; c += kLanes) {
    column_block<1>(a + c, from(b, c), from(out, c), sums + c, rows, stride, end - c);
  }
}
PREVIT_CLONES void columns(const Bf16* a,
                           const Bf16* b,
                           Bf16* out,
                           float* sums,
                           int64_t rows,
                           int64_t stride,
                           int64_t begin,
                           int64_t end) {
  columns_body(a, b, out, sums, rows, stride, begin, end);
}
PREVIT_CLONES void columns(const float* a,
                           const float* b,
                           float* out,
                           float* sums,
                           int64_t rows,
                           int64_t stride,
                           int64_t begin,
                           int64_t end) {
  columns_body(a, b, out, sums, rows, stride, begin, end);
}

// Elements [begin, end) of y = the sum of `count` parts, `stride` apart.
PREVIT_CLONES void sum_spans(
    const Bf16* parts, int64_t count, int64_t stride, float* y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kLanes) {
    Vec sum = {}, v;
    for (int64_t p = 0; p < count; ++p) {
      load_some(parts + p * stride + i, end - i, v);
      sum += v;
    }
    store_some(y + i, end - i, sum);
  }
}

}  // namespace

void add_bias(at::Tensor& y, const at::Tensor& bias) {
  const int64_t width = y.size(1);
  for_type(y, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, y.size(0), grain(width), [&](int64_t begin, int64_t end) {
      add_bias_rows(pointer<T>(y) + begin * width, pointer<float>(bias), end - begin, width);
    });
  });
}

at::Tensor sum_widened(const at::Tensor& parts) {
  at::Tensor y = at::empty(parts.sizes().slice(1), parts.options().dtype(at::kFloat));
  at::parallel_for(0, y.numel(), grain(parts.size(0)), [&](int64_t begin, int64_t end) {
    sum_spans(pointer<Bf16>(parts), parts.size(0), y.numel(), pointer<float>(y), begin, end);
  });
  return y;
}

at::Tensor column_sums(const at::Tensor& y) {
  const int64_t rows = y.size(0), width = y.size(1);
  at::Tensor sums = at::zeros({width}, y.options().dtype(at::kFloat));
  for_type(y, [&](auto tag) {
    using T = decltype(tag);
    for_columns(rows, width, [&](int64_t begin, int64_t end) {
      columns(pointer<T>(y),
              static_cast<const T*>(nullptr),
              static_cast<T*>(nullptr),
              pointer<float>(sums),
              rows,
              width,
              begin,
              end);
    });
  });
  return sums;
}

std::pair<at::Tensor, at::Tensor> multiply_with_sums(const at::Tensor& a, const at::Tensor& b) {
  const int64_t rows = a.size(0), width = a.size(1);
  at::Tensor out = PaddedRows(a.sizes(), a.options()).view(),
             sums = at::zeros({width}, a.options().dtype(at::kFloat));
  for_type(a, [&](auto tag) {
    using T = decltype(tag);
    for_columns(rows, width, [&](int64_t begin, int64_t end) {
      columns(pointer<T>(a),
              pointer<T>(b),
              pointer<T>(out),
              pointer<float>(sums),
              rows,
              width,
              begin,
              end);
    });
  });
  return {out, sums};
}

}  // namespace previt::loops
