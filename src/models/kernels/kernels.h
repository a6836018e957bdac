#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

class WeightCopy;

// The differentiable operations that a transformer spends its time in (docs/kernels.md). Inputs may
// be float32 or the compute type; weights are the float32 parameters. Results come in
// compute_type(). Each picks the fastest implementation for device, type and length, and equals the
// plain formula in float32 up to rounding.

/// x [..., I], weight [O, I], bias [O] or undefined → x weightᵀ + bias, [..., O]. copy: the layer's
/// copy of its weight in the compute type; if null, the weight is converted at each call.
at::Tensor linear(const at::Tensor& x,
                  const at::Tensor& weight,
                  const at::Tensor& bias = {},
                  WeightCopy* copy = nullptr);

/// The weight in the compute type, from the layer's copy; its gradient goes to the weight.
at::Tensor in_compute_type(const at::Tensor& weight, WeightCopy* copy);

/// gelu(linear(x, weight, bias, copy)) with the exact (erf) GELU.
at::Tensor linear_gelu(const at::Tensor& x,
                       const at::Tensor& weight,
                       const at::Tensor& bias,
                       WeightCopy* copy = nullptr);

/// x + branch in x's type; both have the same shape.
at::Tensor add_residual(const at::Tensor& x, const at::Tensor& branch);

/// x [B, ...] float32, with factor·branch [K, ...] added to its images `kept`, [K] int64 in rising
/// order.
at::Tensor add_residual(const at::Tensor& x,
                        const at::Tensor& branch,
                        const at::Tensor& kept,
                        double factor);

/// LayerNorm over the last dimension, statistics in float32.
at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps);

/// Where a pre-norm branch leaves the residual stream.
struct Forked {
  at::Tensor x;       ///< the stream, which goes on from here
  at::Tensor normed;  ///< what the branch begins with
};

/// x and its layer_norm. If `kept` [K] (int64, rising) is given, only these images of x [B, ...]
/// are normed: [K, ...]. Use both results in place of x: backward sums their gradients as it makes
/// them.
Forked fork_layer_norm(const at::Tensor& x,
                       const at::Tensor& weight,
                       const at::Tensor& bias,
                       double eps,
                       const at::Tensor& kept = {});

/// fork_layer_norm(add_residual(x, branch), …), on a GPU in one pass.
Forked add_fork_layer_norm(const at::Tensor& x,
                           const at::Tensor& branch,
                           const at::Tensor& weight,
                           const at::Tensor& bias,
                           double eps,
                           const at::Tensor& kept = {});

/// softmax(q kᵀ / √d + bias) v for qkv [B, N, 3·H·d] (rows q, k, v, each H heads) → [B, N, H·d].
/// bias: undefined, or added to the logits, broadcastable to [B, H, N, N].
at::Tensor self_attention(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias = {});

/// As self_attention for separate queries: q [B, M, H·d], kv [B, N, 2·H·d] (rows k, v) →
/// [B, M, H·d].
at::Tensor cross_attention(const at::Tensor& q,
                           const at::Tensor& kv,
                           int64_t heads,
                           const at::Tensor& bias = {});

/// The attention weights themselves, float32 [B, H, N, N], for pictures; by the plain formula,
/// which is slow.
at::Tensor attention_weights(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias = {});

}  // namespace previt
