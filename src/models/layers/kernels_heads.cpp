#include "models/layers/kernels_heads.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <cstdlib>
#include <memory>

#include "models/layers/kernels_head_loops.h"

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

struct Sizes {
  explicit Sizes(const HeadAttention& a)
      : queries(up(a.queries, kRows)),
        keys(up(a.keys, 32)),
        width(up(a.width, 32)),
        columns(up(a.width, 16)) {}
  int64_t queries, keys, width, columns;
};

class ForwardHead {
 public:
  explicit ForwardHead(const HeadAttention& a)
      : a_(a),
        s_(a),
        multiply_(small_gemm(a.level)),
        q_(s_.queries * s_.width),
        k_(s_.keys * s_.width),
        v_(s_.keys * s_.width),
        k_across_(s_.width / 2 * s_.keys),
        v_down_(s_.keys / 2 * s_.columns),
        logits_(kRows * s_.keys),
        row_(s_.keys),
        p_(kRows * s_.keys),
        out_(kRows * s_.columns) {}

  void run(int64_t b, int64_t h, const HeadRows<Bf16>& out) const {
    copy_rows(a_.q.at(b, h), a_.q.row, a_.queries, a_.width, q_.get(), s_.width);
    copy_rows(a_.k.at(b, h), a_.k.row, a_.keys, a_.width, k_.get(), s_.width);
    copy_rows(a_.v.at(b, h), a_.v.row, a_.keys, a_.width, v_.get(), s_.width);
    transpose_dwords(
        dwords(k_.get()), s_.width / 2, a_.keys, s_.width / 2, k_across_.get(), s_.keys);
    pack_down(v_.get(), s_.width, s_.keys, a_.width, v_down_.get(), s_.columns);
    for (int64_t first = 0; first < a_.queries; first += kRows) rows(b, h, first, out);
  }

 private:
  void rows(int64_t b, int64_t h, int64_t first, const HeadRows<Bf16>& out) const {
    const int64_t n = std::min(kRows, a_.queries - first), padded = up(n, 16);
    multiply_(q_.get() + first * s_.width,
              s_.width,
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
  Buffer<Bf16> q_, k_, v_;
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
        q_(s_.queries * s_.width),
        k_(s_.keys * s_.width),
        v_(s_.keys * s_.width),
        dout_(s_.queries * s_.width),
        k_across_(s_.width / 2 * s_.keys),
        v_across_(s_.width / 2 * s_.keys),
        k_down_(s_.keys / 2 * s_.columns),
        rows_down_(s_.queries / 2 * s_.width),
        q_columns_(s_.width * s_.queries),
        dout_columns_(s_.width * s_.queries),
        logits_(kRows * s_.keys),
        dp_(kRows * s_.keys),
        ds_(kRows * s_.keys),
        p_down_(s_.queries / 2 * s_.keys),
        ds_down_(s_.queries / 2 * s_.keys),
        dq_(kRows * s_.columns),
        transposed_(s_.columns * s_.keys),
        scratch_(kLanes * s_.width) {}

  void run(int64_t b,
           int64_t h,
           const HeadRows<const Bf16>& dout,
           const HeadRows<Bf16>& dq,
           const HeadRows<Bf16>& dk,
           const HeadRows<Bf16>& dv,
           float* dbias) const {
    pack(b, h, dout);
    for (int64_t first = 0; first < a_.queries; first += kRows) rows(b, h, first, dq, dbias);
    sum_over_queries(dout_columns_, p_down_, 1, dv.at(b, h), dv.row);
    sum_over_queries(q_columns_, ds_down_, a_.scale, dk.at(b, h), dk.row);
  }

 private:
  void pack(int64_t b, int64_t h, const HeadRows<const Bf16>& dout) const {
    copy_rows(a_.q.at(b, h), a_.q.row, a_.queries, a_.width, q_.get(), s_.width);
    copy_rows(a_.k.at(b, h), a_.k.row, a_.keys, a_.width, k_.get(), s_.width);
    copy_rows(a_.v.at(b, h), a_.v.row, a_.keys, a_.width, v_.get(), s_.width);
    copy_rows(dout.at(b, h), dout.row, a_.queries, a_.width, dout_.get(), s_.width);
    transpose_dwords(
        dwords(k_.get()), s_.width / 2, a_.keys, s_.width / 2, k_across_.get(), s_.keys);
    transpose_dwords(
        dwords(v_.get()), s_.width / 2, a_.keys, s_.width / 2, v_across_.get(), s_.keys);
    pack_down(k_.get(), s_.width, s_.keys, a_.width, k_down_.get(), s_.columns);
    pack_columns(q_, q_columns_);
    pack_columns(dout_, dout_columns_);
  }

  void pack_columns(const Buffer<Bf16>& x, const Buffer<Bf16>& out) const {
    pack_down(x.get(), s_.width, s_.queries, s_.width, rows_down_.get(), s_.width);
    transpose_dwords(
        rows_down_.get(), s_.width, s_.queries / 2, s_.width, dwords(out.get()), s_.queries / 2);
  }

  void rows(int64_t b, int64_t h, int64_t first, const HeadRows<Bf16>& dq, float* dbias) const {
    const int64_t n = std::min(kRows, a_.queries - first);
    multiply_(q_.get() + first * s_.width,
              s_.width,
              k_across_.get(),
              s_.keys,
              logits_.get(),
              s_.keys,
              kRows,
              s_.keys,
              s_.width);
    multiply_(dout_.get() + first * s_.width,
              s_.width,
              v_across_.get(),
              s_.keys,
              dp_.get(),
              s_.keys,
              kRows,
              s_.keys,
              s_.width);
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
    std::memset(logits_.get() + n * s_.keys, 0, (kRows - n) * s_.keys * sizeof(float));
    for (int64_t r = 0; r < kRows; r += 2) {
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
              kRows,
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
              s_.queries,
              down.get(),
              s_.keys,
              transposed_.get(),
              s_.keys,
              s_.columns,
              s_.keys,
              s_.queries);
    store_transposed(
        transposed_.get(), s_.keys, a_.keys, a_.width, factor, scratch_.get(), out, stride);
  }

  const HeadAttention& a_;
  Sizes s_;
  SmallGemm multiply_;
  Buffer<Bf16> q_, k_, v_, dout_;
  Buffer<uint32_t> k_across_, v_across_, k_down_, rows_down_;
  Buffer<Bf16> q_columns_, dout_columns_;
  Buffer<float> logits_, dp_;
  Buffer<Bf16> ds_;
  Buffer<uint32_t> p_down_, ds_down_;
  Buffer<float> dq_, transposed_, scratch_;
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
