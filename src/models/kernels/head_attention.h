#pragma once

#include <cstdint>

#include "models/kernels/loops/gemm.h"

namespace previt {

/// Rows of all heads inside a larger tensor: element (b, n, h, i) is at data[b·batch + n·row +
/// h·head + i].
template <class T>
struct HeadRows {
  T* data = nullptr;
  int64_t batch = 0, row = 0, head = 0;
  T* at(int64_t b, int64_t h) const { return data + b * batch + h * head; }
};

/// softmax(q kᵀ·scale + bias) v on the CPU, with the softmax in float32. It takes one head of one
/// image at a time, so that its logits stay in the core's cache. Backward makes them again and
/// normalises them by the saved log-sums. T: float or simd::Bf16.
template <class T>
struct HeadAttention {
  int64_t batch, heads, queries, keys, width;
  float scale;
  CpuLevel level = cpu_level();

  HeadRows<const T> q, k, v;
  HeadRows<const float> bias;  ///< [queries, keys] for b and h, rows `row` apart; data null: none
  float* log_sums;             ///< [batch, heads, queries]: log Σ exp of each row of logits

  /// Writes out and log_sums.
  void forward(HeadRows<T> out) const;

  /// Writes dq, dk and dv. dbias is null, or zeroed [heads, queries, keys] to which the gradient of
  /// the bias is added, summed over the batch.
  void backward(
      HeadRows<const T> dout, HeadRows<T> dq, HeadRows<T> dk, HeadRows<T> dv, float* dbias) const;
};

template <>
void HeadAttention<simd::Bf16>::forward(HeadRows<simd::Bf16> out) const;
template <>
void HeadAttention<simd::Bf16>::backward(HeadRows<const simd::Bf16> dout,
                                         HeadRows<simd::Bf16> dq,
                                         HeadRows<simd::Bf16> dk,
                                         HeadRows<simd::Bf16> dv,
                                         float* dbias) const;
template <>
void HeadAttention<float>::forward(HeadRows<float> out) const;
template <>
void HeadAttention<float>::backward(HeadRows<const float> dout,
                                    HeadRows<float> dq,
                                    HeadRows<float> dk,
                                    HeadRows<float> dv,
                                    float* dbias) const;

}  // namespace previt
