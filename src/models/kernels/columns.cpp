#include "models/kernels/loops/columns.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>

#include "models/kernels/elementwise.h"
#include "models/kernels/loop_types.h"
#include "models/kernels/loops/heads.h"
#include "models/kernels/padded_rows.h"

namespace previt::loops {
namespace {

using simd::Bf16;

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

void prefetch(const Bf16* x, int64_t stride, int64_t rows, int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(Bf16);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; c += kLine) __builtin_prefetch(x + r * stride + c);
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
    sum_parts(pointer<Bf16>(parts), parts.size(0), y.numel(), pointer<float>(y), begin, end);
  });
  return y;
}

at::Tensor column_sums(const at::Tensor& y) {
  const int64_t rows = y.size(0), width = y.size(1);
  at::Tensor sums = at::zeros({width}, y.options().dtype(at::kFloat));
  for_type(y, [&](auto tag) {
    using T = decltype(tag);
    for_columns(rows, width, [&](int64_t begin, int64_t end) {
      sum_columns(pointer<T>(y),
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
      sum_columns(pointer<T>(a),
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

at::Tensor transposed(const at::Tensor& x) {
  constexpr int64_t kPairs = simd::kLanes, kRows = 2 * kPairs;
  const int64_t rows = x.size(0), width = x.size(1), padded = (rows + kRows - 1) / kRows * kRows;
  at::Tensor out = at::empty({width, padded}, x.options());
  for_columns(rows, width, [&](int64_t begin, int64_t end) {
    constexpr int64_t kStep = 128;
    std::array<uint32_t, kPairs * kStep> pairs;
    for (int64_t c = begin; c < end; c += kStep) {
      const int64_t columns = std::min(kStep, end - c);
      for (int64_t r = 0; r < rows; r += kRows) {
        const Bf16* block = pointer<Bf16>(x) + r * width + c;
        const int64_t count = std::min(kRows, rows - r);
        // A processor reads ahead along rows, not from row to row.
        prefetch(block + kRows * width, width, std::min(kRows, rows - r - count), columns);
        pack_down(block, width, count, columns, pairs.data(), kStep);
        transpose_dwords(pairs.data(),
                         kStep,
                         (count + 1) / 2,
                         columns,
                         pointer<uint32_t>(out) + (c * padded + r) / 2,
                         padded / 2);
      }
    }
  });
  return out.narrow(1, 0, rows);
}

}  // namespace previt::loops
