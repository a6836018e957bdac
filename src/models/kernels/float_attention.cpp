#include <ATen/Parallel.h>

#include <cmath>

#include "models/kernels/head_operands.h"
#include "models/kernels/loops/float_gemm.h"

namespace previt {
namespace {

using namespace loops;
using heads::Buffer;
using heads::kRows;
using heads::up;

constexpr int64_t kLanes = simd::kLanes;

// Rows as the right operand of a matmul: in place if they fill vectors, else a padded copy.
struct RightRows {
  RightRows(int64_t rows, int64_t width)
      : width(width), padded(up(width, kLanes)), copy(width == padded ? 0 : rows * padded) {}

  struct Rows {
    const float* data;
    int64_t stride;
  };

  // The rows of x [n, width], `stride` apart.
  Rows of(const float* x, int64_t stride, int64_t n) const {
    if (width == padded) return {x, stride};
    for (int64_t r = 0; r < n; ++r) std::copy_n(x + r * stride, width, copy.get() + r * padded);
    return {copy.get(), padded};
  }

  int64_t width, padded;
  Buffer<float> copy;
};

// What both passes have of one head: the logits of kRows queries, from keys that are transposed once.
class FloatHead {
 public:
  explicit FloatHead(const HeadAttention<float>& a)
      : a_(a),
        keys_(up(a.keys, kLanes)),
        columns_(up(a.width, kLanes)),
        k_transposed_(a.width * keys_),
        logits_(kRows * keys_) {}

 protected:
  void take_keys(int64_t b, int64_t h) const {
    transpose_rows(a_.k.at(b, h), a_.k.row, a_.keys, a_.width, k_transposed_.get(), keys_);
  }
  // logits = q kᵀ for n queries from `first` on.
  void make_logits(int64_t b, int64_t h, int64_t first, int64_t n) const {
    const float* q = a_.q.at(b, h) + first * a_.q.row;
    float_gemm({q, a_.q.row, 1},
               k_transposed_.get(),
               keys_,
               logits_.get(),
               keys_,
               n,
               keys_,
               a_.width,
               /*add=*/false);
  }
  float* logits(int64_t r) const { return logits_.get() + r * keys_; }
  const float* bias(int64_t b, int64_t h, int64_t query) const {
    return a_.bias.data ? a_.bias.at(b, h) + query * a_.bias.row : nullptr;
  }
  float* log_sums(int64_t b, int64_t h) const {
    return a_.log_sums + (b * a_.heads + h) * a_.queries;
  }

  const HeadAttention<float>& a_;
  int64_t keys_, columns_;

 private:
  Buffer<float> k_transposed_, logits_;
};

// The sums of a softmax divide its output instead of p, which usually has more values.
class FloatForward : FloatHead {
 public:
  explicit FloatForward(const HeadAttention<float>& a)
      : FloatHead(a), v_(a.keys, a.width), out_(kRows * columns_) {}

  void run(int64_t b, int64_t h, const HeadRows<float>& out) const {
    take_keys(b, h);
    const auto [v, stride] = v_.of(a_.v.at(b, h), a_.v.row, a_.keys);
    for (int64_t first = 0; first < a_.queries; first += kRows) {
      const int64_t n = std::min(kRows, a_.queries - first);
      make_logits(b, h, first, n);
      float sums[kRows];
      for (int64_t r = 0; r < n; ++r) {
        float top;
        sums[r] = softmax_row(
            logits(r), bias(b, h, first + r), a_.scale, a_.keys, keys_, logits(r), logits(r), &top);
        log_sums(b, h)[first + r] = top + std::log(sums[r]);
      }
      float_gemm(
          {logits(0), keys_, 1}, v, stride, out_.get(), columns_, n, columns_, a_.keys, false);
      for (int64_t r = 0; r < n; ++r) {
        scale_row(
            out_.get() + r * columns_, 1 / sums[r], a_.width, out.at(b, h) + (first + r) * out.row);
      }
    }
  }

 private:
  RightRows v_;
  Buffer<float> out_;
};

// The gradients of a head's rows.
struct HeadGradients {
  HeadRows<float> dq, dk, dv;
  float* dbias;  // [queries, keys], or null
};

// With p = softmax(…) and dp = dout vᵀ: ds = p (dp - Σ p dp), dq = ds k·scale, dk = dsᵀ q·scale and
// dv = pᵀ dout.
class FloatBackward : FloatHead {
 public:
  explicit FloatBackward(const HeadAttention<float>& a)
      : FloatHead(a),
        v_transposed_(a.width * keys_),
        dp_(kRows * keys_),
        k_(a.keys, a.width),
        q_(kRows, a.width),
        dout_(kRows, a.width),
        dq_(kRows * columns_),
        dk_(a.keys * columns_),
        dv_(a.keys * columns_) {}

  void run(int64_t b, int64_t h, const HeadRows<const float>& dout, const HeadGradients& to) const {
    take_keys(b, h);
    transpose_rows(a_.v.at(b, h), a_.v.row, a_.keys, a_.width, v_transposed_.get(), keys_);
    const auto k = k_.of(a_.k.at(b, h), a_.k.row, a_.keys);
    for (int64_t first = 0; first < a_.queries; first += kRows) rows(b, h, first, k, dout, to);
    for (int64_t r = 0; r < a_.keys; ++r) {
      scale_row(dk_.get() + r * columns_, a_.scale, a_.width, to.dk.at(b, h) + r * to.dk.row);
      scale_row(dv_.get() + r * columns_, 1, a_.width, to.dv.at(b, h) + r * to.dv.row);
    }
  }

 private:
  void rows(int64_t b,
            int64_t h,
            int64_t first,
            const RightRows::Rows& k,
            const HeadRows<const float>& dout,
            const HeadGradients& to) const {
    const int64_t n = std::min(kRows, a_.queries - first);
    const float* g = dout.at(b, h) + first * dout.row;
    make_logits(b, h, first, n);
    float_gemm({g, dout.row, 1},
               v_transposed_.get(),
               keys_,
               dp_.get(),
               keys_,
               n,
               keys_,
               a_.width,
               /*add=*/false);
    for (int64_t r = 0; r < n; ++r) {
      softmax_backward_row(logits(r),
                           bias(b, h, first + r),
                           a_.scale,
                           log_sums(b, h)[first + r],
                           a_.keys,
                           dp_.get() + r * keys_,
                           to.dbias ? to.dbias + (first + r) * a_.keys : nullptr);
    }
    float_gemm(
        {dp_.get(), keys_, 1}, k.data, k.stride, dq_.get(), columns_, n, columns_, a_.keys, false);
    for (int64_t r = 0; r < n; ++r) {
      scale_row(
          dq_.get() + r * columns_, a_.scale, a_.width, to.dq.at(b, h) + (first + r) * to.dq.row);
    }
    // Sums over the queries, these on top of those before.
    const auto add_over_queries =
        [&](const float* left, const RightRows::Rows& right, const Buffer<float>& sum) {
          float_gemm({left, 1, keys_},
                     right.data,
                     right.stride,
                     sum.get(),
                     columns_,
                     a_.keys,
                     columns_,
                     n,
                     /*add=*/first > 0);
        };
    add_over_queries(logits(0), dout_.of(g, dout.row, n), dv_);
    add_over_queries(dp_.get(), q_.of(a_.q.at(b, h) + first * a_.q.row, a_.q.row, n), dk_);
  }

  Buffer<float> v_transposed_, dp_;
  RightRows k_, q_, dout_;
  Buffer<float> dq_, dk_, dv_;
};

}  // namespace

template <>
void HeadAttention<float>::forward(HeadRows<float> out) const {
  at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
    const FloatForward head(*this);
    for (int64_t i = begin; i < end; ++i) head.run(i / heads, i % heads, out);
  });
}

template <>
void HeadAttention<float>::backward(HeadRows<const float> dout,
                                    HeadRows<float> dq,
                                    HeadRows<float> dk,
                                    HeadRows<float> dv,
                                    float* dbias) const {
  // A head's bias gradient is summed over the batch by one thread: no two write to it.
  const int64_t images_at_once = dbias == nullptr ? 1 : batch;
  at::parallel_for(0, batch * heads / images_at_once, 1, [&](int64_t begin, int64_t end) {
    const FloatBackward head(*this);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t h = i % heads, first = dbias == nullptr ? i / heads : 0;
      float* own = dbias == nullptr ? nullptr : dbias + h * queries * keys;
      for (int64_t b = first; b < first + images_at_once; ++b)
        head.run(b, h, dout, {dq, dk, dv, own});
    }
  });
}

}  // namespace previt
