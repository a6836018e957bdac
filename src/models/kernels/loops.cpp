#include "models/kernels/loops.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "models/kernels/products.h"
#include "models/kernels/simd.h"

namespace previt::loops {
namespace {

using namespace simd;

template <class T>
T* pointer(const at::Tensor& t) {
  return reinterpret_cast<T*>(t.data_ptr());
}

template <class F>
void for_type(const at::Tensor& t, const F& body) {
  if (t.scalar_type() == at::kBFloat16) {
    body(Bf16{});
  } else {
    TORCH_INTERNAL_ASSERT(t.scalar_type() == at::kFloat);
    body(0.f);
  }
}

int64_t grain(int64_t row) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row)); }

// Runs body(begin, end) over column ranges that start at multiples of a cache line's elements.
template <class F>
void for_columns(int64_t rows, int64_t columns, const F& body) {
  constexpr int64_t kBlock = 64;
  const int64_t blocks = (columns + kBlock - 1) / kBlock;
  at::parallel_for(0, blocks, grain(rows * kBlock), [&](int64_t begin, int64_t end) {
    body(begin * kBlock, std::min(end * kBlock, columns));
  });
}

template <class T>
PREVIT_INLINE void add_bias_body(T* y, const float* bias, int64_t rows, int64_t columns) {
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

// V vectors of columns from c on: out (when given) = a·b; sums += its column sums (a's without b).
template <int V, class T>
PREVIT_INLINE void column_block(
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
PREVIT_INLINE void columns_body(const T* a,
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

// The derivative goes to d, unless that is null.
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

template <class T>
PREVIT_INLINE void add_scaled_body(
    const float* x, const T* branch, float factor, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    Vec v, w;
    load_some(x + i, count - i, v);
    load_some(branch + i, count - i, w);
    store_some(y + i, count - i, v + w * factor);
  }
}
PREVIT_CLONES void add_scaled_span(
    const float* x, const Bf16* branch, float factor, float* y, int64_t count) {
  add_scaled_body(x, branch, factor, y, count);
}
PREVIT_CLONES void add_scaled_span(
    const float* x, const float* branch, float factor, float* y, int64_t count) {
  add_scaled_body(x, branch, factor, y, count);
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

template <class T>
PREVIT_INLINE void scaled_body(const float* x, float factor, T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    Vec v;
    load_some(x + i, count - i, v);
    store_some(y + i, count - i, v * factor);
  }
}
PREVIT_CLONES void scaled_span(const float* x, float factor, Bf16* y, int64_t count) {
  scaled_body(x, factor, y, count);
}
PREVIT_CLONES void scaled_span(const float* x, float factor, float* y, int64_t count) {
  scaled_body(x, factor, y, count);
}

// A bfloat16 has 65536 values: gelu (low half) and its derivative (high half) are looked up.
uint16_t to_bf16(double x) { return c10::BFloat16(static_cast<float>(x)).x; }

std::vector<uint32_t> make_gelu_table() {
  std::vector<uint32_t> table(65536);
  for (uint32_t bits = 0; bits < table.size(); ++bits) {
    const auto x = static_cast<double>(float(c10::BFloat16(bits, c10::BFloat16::from_bits())));
    const double cdf = 0.5 * std::erfc(-x * M_SQRT1_2);
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

// gelu(x + bias) to y, its derivative to `derivative` in the same type, unless that is null.
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

void add_bias(at::Tensor& y, const at::Tensor& bias) {
  const int64_t width = y.size(1);
  for_type(y, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, y.size(0), grain(width), [&](int64_t begin, int64_t end) {
      add_bias_rows(pointer<T>(y) + begin * width, pointer<float>(bias), end - begin, width);
    });
  });
}

at::Tensor add_widening(const at::Tensor& x, const at::Tensor& branch) {
  at::Tensor y = at::empty_like(x);
  at::parallel_for(0, x.numel(), grain(1), [&](int64_t begin, int64_t end) {
    add_scaled_span(pointer<float>(x) + begin,
                    pointer<Bf16>(branch) + begin,
                    1,
                    pointer<float>(y) + begin,
                    end - begin);
  });
  return y;
}

at::Tensor sum_widened(const at::Tensor& parts) {
  at::Tensor y = at::empty(parts.sizes().slice(1), parts.options().dtype(at::kFloat));
  at::parallel_for(0, y.numel(), grain(parts.size(0)), [&](int64_t begin, int64_t end) {
    sum_spans(pointer<Bf16>(parts), parts.size(0), y.numel(), pointer<float>(y), begin, end);
  });
  return y;
}

at::Tensor add_scaled(const at::Tensor& x,
                      const at::Tensor& branch,
                      const at::Tensor& kept,
                      float factor) {
  at::Tensor y = at::empty_like(x);
  const int64_t images = x.size(0), size = x.numel() / images;
  const auto* begin_of_kept = kept.const_data_ptr<int64_t>();
  const auto* end_of_kept = begin_of_kept + kept.numel();
  for_type(branch, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, images, grain(size), [&](int64_t begin, int64_t end) {
      const auto* next = std::lower_bound(begin_of_kept, end_of_kept, begin);
      for (int64_t i = begin; i < end; ++i) {
        const float* from = pointer<float>(x) + i * size;
        float* to = pointer<float>(y) + i * size;
        if (next != end_of_kept && *next == i) {
          const T* own = pointer<T>(branch) + (next++ - begin_of_kept) * size;
          add_scaled_span(from, own, factor, to, size);
        } else {
          std::copy_n(from, size, to);
        }
      }
    });
  });
  return y;
}

at::Tensor take_scaled(const at::Tensor& x,
                       const at::Tensor& kept,
                       float factor,
                       at::ScalarType type) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape[0] = kept.numel();
  at::Tensor y = empty_rows(shape, x.options().dtype(type));
  const int64_t size = x.numel() / x.size(0);
  const auto* images = kept.const_data_ptr<int64_t>();
  for_type(y, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, shape[0], grain(size), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        scaled_span(pointer<float>(x) + images[i] * size, factor, pointer<T>(y) + i * size, size);
      }
    });
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
  at::Tensor out = empty_rows(a.sizes(), a.options()),
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

void gelu_(at::Tensor& x, const at::Tensor& bias) { gelu_to(x, bias, x, nullptr); }

std::pair<at::Tensor, at::Tensor> gelu_with_derivative(const at::Tensor& x,
                                                       const at::Tensor& bias) {
  at::Tensor y = empty_rows(x.sizes(), x.options()), d = at::empty_like(x);
  gelu_to(x, bias, y, d.data_ptr());
  return {y, d};
}

}  // namespace previt::loops
