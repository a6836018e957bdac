#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "models/kernels/loop_types.h"
#include "models/kernels/loops.h"
#include "models/kernels/padded_rows.h"

namespace previt::loops {
namespace {

using namespace simd;

// gelu(v) = v Φ(v) goes to y for v = x + bias; its derivative Φ(v) + v φ(v) goes to d, unless that
// is null. 0.39894228 is 1 / √(2π).
PREVIT_CLONES void gelu_rows(
    const float* x, const float* bias, float* y, float* d, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vec v, b, e, cdf;
      load_some(x + c, columns - c, v);
      load_some(bias + c, columns - c, b);
      v += b;
      simd::exp(v * v * -0.5f, e);
      normal_cdf(v, e, cdf);
      store_some(y + c, columns - c, v * cdf);
      if (d != nullptr) store_some(d + c, columns - c, cdf + v * e * 0.39894228f);
    }
    if (d != nullptr) d += columns;
  }
}

uint16_t to_bf16(double x) { return c10::BFloat16(static_cast<float>(x)).x; }

// A bfloat16 has only 65536 values, so that gelu and its derivative can be looked up: gelu is the
// low half of an entry, the derivative the high half.
std::vector<uint32_t> make_gelu_table() {
  std::vector<uint32_t> table(65536);
  for (uint32_t bits = 0; bits < table.size(); ++bits) {
    const auto x = static_cast<double>(float(c10::BFloat16(bits, c10::BFloat16::from_bits())));
    // erfc stays exact for negative x, where 1 + erf cancels.
    const double cdf = 0.5 * std::erfc(-x * M_SQRT1_2);
    // At ±∞ the formulas below would be ∞ · 0, which is NaN.
    const bool infinite = std::isinf(x);
    const double y = infinite ? std::max(x, 0.0) : x * cdf;
    const double d = infinite ? cdf : cdf + x * std::exp(-0.5 * x * x) * 0.3989422804014327;
    table[bits] = to_bf16(y) | static_cast<uint32_t>(to_bf16(d)) << 16;
  }
  return table;
}

PREVIT_CLONES void gelu_lookup_rows(const uint32_t* table,
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
      for (int64_t c = 0; c < n; c += kLanes) {
        Vec v, b;
        load_some(x + begin + c, n - c, v);
        load_some(bias + begin + c, n - c, b);
        store(index + c, v + b);
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

// Writes gelu(x + bias) to y and its derivative, in the same type, to `derivative` unless it is
// null.
void gelu_to(const at::Tensor& x, const at::Tensor& bias, at::Tensor& y, void* derivative) {
  static const std::vector<uint32_t> table = make_gelu_table();
  const int64_t width = x.size(1);
  const auto* b = pointer<float>(bias);
  for_type(x, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, x.size(0), grain(width), [&](int64_t begin, int64_t end) {
      const int64_t first = begin * width, rows = end - begin;
      T* d = derivative == nullptr ? nullptr : static_cast<T*>(derivative) + first;
      if constexpr (std::is_same_v<T, float>) {
        gelu_rows(pointer<T>(x) + first, b, pointer<T>(y) + first, d, rows, width);
      } else {
        gelu_lookup_rows(
            table.data(), pointer<T>(x) + first, b, pointer<T>(y) + first, d, rows, width);
      }
    });
  });
}

}  // namespace

void gelu_(at::Tensor& x, const at::Tensor& bias) { gelu_to(x, bias, x, nullptr); }

std::pair<at::Tensor, at::Tensor> gelu_with_derivative(const at::Tensor& x,
                                                       const at::Tensor& bias) {
  at::Tensor y = PaddedRows(x.sizes(), x.options()).view(), d = at::empty_like(x);
  gelu_to(x, bias, y, d.data_ptr());
  return {y, d};
}

}  // namespace previt::loops
