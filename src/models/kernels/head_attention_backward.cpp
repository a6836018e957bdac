#include <ATen/Parallel.h>

#include "models/kernels/head_operands.h"

namespace previt {
namespace {

using namespace simd;
using namespace loops;
using namespace heads;

// The backward pass of one head of one image at a time, in memory that it uses again. With
// p = softmax(…) and dp = dout vᵀ: ds = p (dp - Σ p dp), dq = ds k·scale, dk = dsᵀ q·scale and
// dv = pᵀ dout.
class BackwardHead {
 public:
  explicit BackwardHead(const HeadAttention<simd::Bf16>& a)
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
    const int64_t n = std::min(kRows, a_.queries - first), padded = up(n, s_.row_multiple);
    const auto q = operands_.left(a_.q.at(b, h) + first * a_.q.row, a_.q.row, n, padded);
    multiply_({q.data,
               q.stride,
               k_across_.get(),
               s_.keys,
               logits_.get(),
               s_.keys,
               padded,
               s_.keys,
               s_.width});
    const auto g = operands_.left(dout.at(b, h) + first * dout.row, dout.row, n, padded);
    multiply_({g.data,
               g.stride,
               v_across_.get(),
               s_.keys,
               dp_.get(),
               s_.keys,
               padded,
               s_.keys,
               s_.width});
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
    store_rows(first, n, padded);
    multiply_({ds_.get(),
               s_.keys,
               k_down_.get(),
               s_.columns,
               dq_.get(),
               s_.columns,
               padded,
               s_.columns,
               s_.keys});
    for (int64_t r = 0; r < n; ++r) {
      scale_row(dq_.get() + r * s_.columns, a_.scale, a_.width, dq.at(b, h) + (first + r) * dq.row);
    }
  }

  // Stores p and ds of n rows, now in logits_ and dp_, as operands of the matmuls that follow.
  // Padding rows are zeroed, since sum_over_queries sums over them too.
  void store_rows(int64_t first, int64_t n, int64_t padded) const {
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
  }

  void sum_over_queries(const Buffer<Bf16>& columns,
                        const Buffer<uint32_t>& down,
                        float factor,
                        Bf16* out,
                        int64_t stride) const {
    multiply_({columns.get(),
               s_.query_lanes,
               down.get(),
               s_.keys,
               transposed_.get(),
               s_.keys,
               s_.columns,
               s_.keys,
               s_.queries});
    store_transposed(transposed_.get(), s_.keys, a_.keys, a_.width, factor, out, stride);
  }

  const HeadAttention<Bf16>& a_;
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

template <>
void HeadAttention<Bf16>::backward(HeadRows<const Bf16> dout,
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
  // A head's bias gradient is summed over the batch by one thread: no two write to it.
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
