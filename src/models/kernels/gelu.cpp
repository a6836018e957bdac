#include "models/kernels/loops/gelu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "models/kernels/elementwise.h"
#include "models/kernels/loop_types.h"
#include "models/kernels/padded_rows.h"

namespace previt::loops {
namespace {

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

// Writes gelu(x + bias) to y and its derivative, in the same type, to `derivative` unless it is
// null.
void gelu_to(const at::Tensor& x, const at::Tensor& bias, at::Tensor& y, void* derivative) {
  static const std::vector<uint32_t> table = make_gelu_table();
  static const Lookup way = faster_lookup(table.data());
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
            table.data(), pointer<T>(x) + first, b, pointer<T>(y) + first, d, rows, width, way);
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
