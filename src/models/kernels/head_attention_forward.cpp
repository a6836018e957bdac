#include <ATen/Parallel.h>

#include <cmath>

#include "models/kernels/head_operands.h"

namespace previt {
namespace {

using namespace simd;
using namespace loops;
using namespace heads;

// The forward pass of one head of one image at a time, in memory that it uses again. The sums of a
// softmax divide its output instead of p, which usually has more values.
class ForwardHead {
 public:
  explicit ForwardHead(const HeadAttention<simd::Bf16>& a)
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
    multiply_({p_.get(),
               s_.keys,
               v_down_.get(),
               s_.columns,
               out_.get(),
               s_.columns,
               padded,
               s_.columns,
               s_.keys});
    float* log_sums = a_.log_sums + (b * a_.heads + h) * a_.queries + first;
    for (int64_t r = 0; r < n; ++r) {
      log_sums[r] = tops[r] + std::log(sums[r]);
      scale_row(
          out_.get() + r * s_.columns, 1 / sums[r], a_.width, out.at(b, h) + (first + r) * out.row);
    }
  }

  const HeadAttention<Bf16>& a_;
  Sizes s_;
  SmallGemm multiply_;
  Operands operands_;
  Buffer<uint32_t> k_across_, v_down_;
  Buffer<float> logits_, row_;
  Buffer<Bf16> p_;
  Buffer<float> out_;
};

}  // namespace

template <>
void HeadAttention<Bf16>::forward(HeadRows<Bf16> out) const {
  at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
    const ForwardHead head(*this);
    const GemmScope scope(level);
    for (int64_t i = begin; i < end; ++i) head.run(i / heads, i % heads, out);
  });
}

}  // namespace previt
