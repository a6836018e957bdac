#include "models/kernels/heads.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "models/kernels/head_loops.h"

namespace previt {
namespace {

using namespace simd;
using namespace loops;

constexpr int64_t kRows = 32;  // queries at a time

int64_t up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

template <class T>
class Buffer {  // zeroed, on cache lines
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

uint32_t* dwords(Bf16* p) { return reinterpret_cast<uint32_t*>(p); }
const uint32_t* dwords(const Bf16* p) { return reinterpret_cast<const uint32_t*>(p); }

struct Sizes {
  explicit Sizes(const HeadAttention& a) : Sizes(a, gemm_steps(a.level)) {}
  Sizes(const HeadAttention& a, GemmSteps steps)
      : row_step(steps.rows),
        queries(up(a.queries, std::max(steps.rows, steps.inner))),
        query_lanes(up(a.queries, 2 * kLanes)),
        keys(up(a.keys, std::max(kLanes, steps.inner))),
        width(up(a.width, 32)),
        columns(up(a.width, kLanes)) {}
  int64_t row_step, queries, query_lanes, keys, width, columns;
};

/// The rows of one head as operands of products.
class Operands {
 public:
  Operands(const HeadAttention& a, const Sizes& s)
      : width_(a.width), s_(s), rows_(kRows * s.width), down_(s.queries / 2 * s.width) {}

  struct Rows {
    const Bf16* data;
    int64_t stride;
  };

  /// Left operand of `padded` rows, of which the first n are x's and the others of no use. In place
  /// where x has them all, else a copy that lasts until the next call.
  Rows left(const Bf16* x, int64_t stride, int64_t n, int64_t padded) const {
    if (n == padded && width_ == s_.width) return {x, stride};
    copy_rows(x, stride, n, width_, rows_.get(), s_.width);
    return {rows_.get(), s_.width};
  }

  /// Right operand of a product with the rows' transpose.
  void across(
      const Bf16* x, int64_t stride, int64_t n, const Buffer<uint32_t>& out, int64_t ld) const {
    if (width_ % 2 == 0) {
      transpose_dwords(dwords(x), stride / 2, n, width_ / 2, out.get(), ld);
      return;
    }
    for (int64_t first = 0; first < n; first += kRows) {
      const int64_t count = std::min(kRows, n - first);
      copy_rows(x + first * stride, stride, count, width_, rows_.get(), s_.width);
      transpose_dwords(
          dwords(rows_.get()), s_.width / 2, count, s_.width / 2, out.get() + first, ld);
    }
  }

  /// Right operand of a product with the rows themselves.
  void down(
      const Bf16* x, int64_t stride, int64_t n, const Buffer<uint32_t>& out, int64_t ld) const {
    pack_down(x, stride, n, width_, out.get(), ld);
  }

  /// Left operand that is the rows' transpose, [width, query_lanes].
  void columns(const Bf16* x, int64_t stride, int64_t n, const Buffer<Bf16>& out) const {
    down(x, stride, n, down_, s_.width);
    transpose_dwords(
        down_.get(), s_.width, s_.queries / 2, s_.width, dwords(out.get()), s_.query_lanes / 2);
  }

 private:
  int64_t width_;
  const Sizes& s_;
  Buffer<Bf16> rows_;
  Buffer<uint32_t> down_;
};

class ForwardHead {
 public:
  explicit ForwardHead(const HeadAttention& a)
      : a_(a),
        s_(a),
        multiply_(small_gemm(a.level)),
        operands_(a, s_),
        k_across_(s_.width / 2 * s_.keys),
        v_down_(s_.keys / 2 * s_.columns),
        logits_(kRows * s_.keys),
        row_(s_.keys),
        p_(kRows * s_.keys),
        out_(kRows * s_.columns) {}

  void run(int64_t b, int64_t h, const HeadRows<Bf16>& out) const {
    operands_.across(a_.k.at(b, h), a_.k.row, a_.keys, k_across_, s_.keys);
    operands_.down(a_.v.at(b, h), a_.v.row, a_.keys, v_down_, s_.columns);
    for (int64_t first = 0; first < a_.queries; first += kRows) rows(b, h, first, out);
  }

 private:
  void rows(int64_t b, int64_t h, int64_t first, const HeadRows<Bf16>& out) const {
    const int64_t n = std::min(kRows, a_.queries - first), padded = up(n, s_.row_step);
    const auto q = operands_.left(a_.q.at(b, h) + first * a_.q.row, a_.q.row, n, padded);
    multiply_(q.data,
              q.stride,
              k_across_.get(),
              s_.keys,
              logits_.get(),
              s_.keys,
              padded,
              s_.keys,
              s_.width);
    float sums[kRows], tops[kRows];
    for (int64_t r = 0; r < n; ++r) {
      const float* bias = a_.bias.data ? a_.bias.at(b, h) + (first + r) * a_.bias.row : nullptr;
      sums[r] = softmax_row(logits_.get() + r * s_.keys,
                            bias,
                            a_.scale,
                            a_.keys,
                            s_.keys,
                            row_.get(),
                            p_.get() + r * s_.keys,
                            &tops[r]);
    }
    multiply_(p_.get(),
              s_.keys,
              v_down_.get(),
              s_.columns,
              out_.get(),
              s_.columns,
              padded,
              s_.columns,
              s_.keys);
    float* log_sums = a_.log_sums + (b * a_.heads + h) * a_.queries + first;
    for (int64_t r = 0; r < n; ++r) {
      log_sums[r] = tops[r] + std::log(sums[r]);
      scale_row(
          out_.get() + r * s_.columns, 1 / sums[r], a_.width, out.at(b, h) + (first + r) * out.row);
    }
  }

  const HeadAttention& a_;
  Sizes s_;
  SmallGemm multiply_;
  Operands operands_;
  Buffer<uint32_t> k_across_, v_down_;
  Buffer<float> logits_, row_;
  Buffer<Bf16> p_;
  Buffer<float> out_;
};

class BackwardHead {
 public:
  explicit BackwardHead(const HeadAttention& a)
      : a_(a),
        s_(a),
        multiply_(small_gemm(a.level)),
        operands_(a, s_),
        k_across_(s_.width / 2 * s_.keys),
        v_across_(s_.width / 2 * s_.keys),
        k_down_(s_.keys / 2 * s_.columns),
        q_columns_(s_.width * s_.query_lanes),
        dout_columns_(s_.width * s_.query_lanes),
        logits_(kRows * s_.keys),
        dp_(kRows * s_.keys),
        ds_(kRows * s_.keys),
        p_down_(s_.queries / 2 * s_.keys),
        ds_down_(s_.queries / 2 * s_.keys),
        dq_(kRows * s_.columns),
        transposed_(s_.columns * s_.keys) {}

  void run(int64_t b,
           int64_t h,
           const HeadRows<const Bf16>& dout,
           const HeadRows<Bf16>& dq,
           const HeadRows<Bf16>& dk,
           const HeadRows<Bf16>& dv,
           float* dbias) const {
    pack(b, h, dout);
    for (int64_t first = 0; first < a_.queries; first += kRows) {
      rows(b, h, first, dout, dq, dbias);
    }
    sum_over_queries(dout_columns_, p_down_, 1, dv.at(b, h), dv.row);
    sum_over_queries(q_columns_, ds_down_, a_.scale, dk.at(b, h), dk.row);
  }

 private:
  void pack(int64_t b, int64_t h, const HeadRows<const Bf16>& dout) const {
    const Bf16 *q = a_.q.at(b, h), *k = a_.k.at(b, h), *v = a_.v.at(b, h);
    operands_.across(k, a_.k.row, a_.keys, k_across_, s_.keys);
    operands_.across(v, a_.v.row, a_.keys, v_across_, s_.keys);
    operands_.down(k, a_.k.row, a_.keys, k_down_, s_.columns);
    operands_.columns(q, a_.q.row, a_.queries, q_columns_);
    operands_.columns(dout.at(b, h), dout.row, a_.queries, dout_columns_);
  }

  void rows(int64_t b,
            int64_t h,
            int64_t first,
            const HeadRows<const Bf16>& dout,
            const HeadRows<Bf16>& dq,
            float* dbias) const {
    const int64_t n = std::min(kRows, a_.queries - first), padded = up(n, s_.row_step);
    const auto q = operands_.left(a_.q.at(b, h) + first * a_.q.row, a_.q.row, n, padded);
    multiply_(q.data,
              q.stride,
              k_across_.get(),
              s_.keys,
              logits_.get(),
              s_.keys,
              padded,
              s_.keys,
              s_.width);
    const auto g = operands_.left(dout.at(b, h) + first * dout.row, dout.row, n, padded);
    multiply_(
        g.data, g.stride, v_across_.get(), s_.keys, dp_.get(), s_.keys, padded, s_.keys, s_.width);
    const float* log_sums = a_.log_sums + (b * a_.heads + h) * a_.queries + first;
    for (int64_t r = 0; r < n; ++r) {
      const float* bias = a_.bias.data ? a_.bias.at(b, h) + (first + r) * a_.bias.row : nullptr;
      softmax_backward_row(logits_.get() + r * s_.keys,
                           bias,
                           a_.scale,
                           log_sums[r],
                           a_.keys,
                           dp_.get() + r * s_.keys,
                           dbias ? dbias + (first + r) * a_.keys : nullptr);
    }
    for (const Buffer<float>* unused : {&logits_, &dp_}) {
      std::memset(unused->get() + n * s_.keys, 0, (padded - n) * s_.keys * sizeof(float));
    }
    for (int64_t r = 0; r < padded; r += 2) {
      const int64_t pair = (first + r) / 2 * s_.keys, row = r * s_.keys;
      store_pairs(logits_.get() + row,
                  logits_.get() + row + s_.keys,
                  s_.keys,
                  p_down_.get() + pair,
                  nullptr,
                  nullptr);
      store_pairs(dp_.get() + row,
                  dp_.get() + row + s_.keys,
                  s_.keys,
                  ds_down_.get() + pair,
                  ds_.get() + row,
                  ds_.get() + row + s_.keys);
    }
    multiply_(ds_.get(),
              s_.keys,
              k_down_.get(),
              s_.columns,
              dq_.get(),
              s_.columns,
              padded,
              s_.columns,
              s_.keys);
    for (int64_t r = 0; r < n; ++r) {
      scale_row(dq_.get() + r * s_.columns, a_.scale, a_.width, dq.at(b, h) + (first + r) * dq.row);
    }
  }

  void sum_over_queries(const Buffer<Bf16>& columns,
                        const Buffer<uint32_t>& down,
                        float factor,
                        Bf16* out,
                        int64_t stride) const {
    multiply_(columns.get(),
              s_.query_lanes,
              down.get(),
              s_.keys,
              transposed_.get(),
              s_.keys,
              s_.columns,
              s_.keys,
              s_.queries);
    store_transposed(transposed_.get(), s_.keys, a_.keys, a_.width, factor, out, stride);
  }

  const HeadAttention& a_;
  Sizes s_;
  SmallGemm multiply_;
  Operands operands_;
  Buffer<uint32_t> k_across_, v_across_, k_down_;
  Buffer<Bf16> q_columns_, dout_columns_;
  Buffer<float> logits_, dp_;
  Buffer<Bf16> ds_;
  Buffer<uint32_t> p_down_, ds_down_;
  Buffer<float> dq_, transposed_;
};

}  // namespace

void HeadAttention::forward(HeadRows<Bf16> out) const {
  at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
    const ForwardHead head(*this);
    const GemmScope scope(level);
    for (int64_t i = begin; i < end; ++i) head.run(i / heads, i % heads, out);
  });
}

void HeadAttention::backward(HeadRows<const Bf16> dout,
                             HeadRows<Bf16> dq,
                             HeadRows<Bf16> dk,
                             HeadRows<Bf16> dv,
                             float* dbias) const {
  if (dbias == nullptr) {
    at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
      const BackwardHead head(*this);
      const GemmScope scope(level);
      for (int64_t i = begin; i < end; ++i)
        head.run(i / heads, i % heads, dout, dq, dk, dv, nullptr);
    });
    return;
  }
  // One thread sums a head's bias over the batch.
  at::parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
    const BackwardHead head(*this);
    const GemmScope scope(level);
    for (int64_t h = begin; h < end; ++h) {
      for (int64_t b = 0; b < batch; ++b)
        head.run(b, h, dout, dq, dk, dv, dbias + h * queries * keys);
    }
  });
}

}  // namespace previt
