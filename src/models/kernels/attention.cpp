#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <type_traits>

#include "models/kernels/head_attention.h"
#include "models/kernels/kernels.h"
#include "models/kernels/padded_rows.h"
#include "models/kernels/precision.h"

namespace previt {
namespace {

using simd::Bf16;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// [B, N, parts·H·d] → parts tensors [B, H, N, d]. The parts are taken before heads and tokens change
// places: their gradients, which come with the tokens outside, are then joined in one copy.
std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t parts, int64_t heads) {
  const int64_t width = x.size(2) / parts / heads;
  std::vector<at::Tensor> split = x.reshape({x.size(0), x.size(1), parts, heads, width}).unbind(2);
  for (at::Tensor& part : split) part = part.transpose(1, 2);
  return split;
}

// The bias as LibTorch's fused operators take it: in the type of the queries, four-dimensional, with
// the keys side by side.
std::optional<at::Tensor> mask_of(const at::Tensor& bias, at::ScalarType type) {
  if (!bias.defined()) return std::nullopt;
  at::Tensor mask = bias.to(type);
  while (mask.dim() < 4) mask = mask.unsqueeze(0);
  return mask.stride(-1) == 1 ? mask : mask.contiguous();
}

at::Tensor attend(const at::Tensor& q,
                  const at::Tensor& k,
                  const at::Tensor& v,
                  const at::Tensor& bias) {
  at::Tensor out;
  // In float32 on the CPU, LibTorch's blockwise operator takes the same time and keeps no attention
  // weights, but it can't give the gradient of a bias.
  if (!q.is_cpu() || (q.scalar_type() == at::kFloat && !bias.defined())) {
    out = at::scaled_dot_product_attention(q, k, v, mask_of(bias, q.scalar_type()));
  } else {
    at::Tensor logits =
        q.mul(1 / std::sqrt(static_cast<double>(q.size(-1)))).matmul(k.transpose(-2, -1));
    if (bias.defined()) logits = logits.add(bias);
    out = logits.softmax(-1, at::kFloat).to(v.scalar_type()).matmul(v);
  }
  return out.transpose(1, 2).flatten(2);
}

// Part `part` of rows [B, N, parts·H·d] as heads.
template <class T>
HeadRows<T> part_of(const at::Tensor& x, int64_t parts, int64_t part, int64_t heads) {
  const int64_t width = x.size(2) / parts;
  return {
      reinterpret_cast<T*>(x.data_ptr()) + part * width, x.stride(0), x.stride(1), width / heads};
}

// Queries, keys and values, or their gradients, as heads.
template <class T>
struct Qkv {
  HeadRows<T> q, k, v;
};

template <class T>
Qkv<T> packed(const at::Tensor& qkv, int64_t heads) {
  return {part_of<T>(qkv, 3, 0, heads), part_of<T>(qkv, 3, 1, heads), part_of<T>(qkv, 3, 2, heads)};
}

template <class T>
Qkv<T> apart(const at::Tensor& q, const at::Tensor& kv, int64_t heads) {
  return {part_of<T>(q, 1, 0, heads), part_of<T>(kv, 2, 0, heads), part_of<T>(kv, 2, 1, heads)};
}

// `out`, or its gradient in its place, gives the number of images and queries and their width. bias
// is undefined or contiguous float32 [H, M, N].
template <class T>
HeadAttention<T> problem(const Qkv<const T>& x,
                         const at::Tensor& out,
                         int64_t keys,
                         const at::Tensor& bias,
                         const at::Tensor& log_sums) {
  HeadAttention<T> a;
  a.batch = out.size(0);
  a.heads = log_sums.size(1);
  a.queries = out.size(1);
  a.keys = keys;
  a.width = out.size(2) / a.heads;
  a.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(a.width)));
  a.q = x.q;
  a.k = x.k;
  a.v = x.v;
  // No stride from image to image: they share the bias.
  if (bias.defined()) a.bias = {bias.const_data_ptr<float>(), 0, a.keys, a.queries * a.keys};
  a.log_sums = log_sums.mutable_data_ptr<float>();
  return a;
}

template <class T>
constexpr at::ScalarType type_of() {
  return std::is_same_v<T, float> ? at::kFloat : at::kBFloat16;
}

struct Attended {
  at::Tensor out, log_sums;
};

template <class T>
Attended attended(const Qkv<const T>& x,
                  at::IntArrayRef shape,
                  int64_t keys,
                  const at::Tensor& bias,
                  int64_t heads,
                  const at::TensorOptions& options) {
  const Attended made{PaddedRows(shape, options).view(),
                      at::empty({shape[0], heads, shape[1]}, options.dtype(at::kFloat))};
  problem(x, made.out, keys, bias, made.log_sums).forward(part_of<T>(made.out, 1, 0, heads));
  return made;
}

// Writes the gradients of x to dx. Returns that of the bias if it is asked for.
template <class T>
at::Tensor attended_backward(const Qkv<const T>& x,
                             const at::Tensor& gradient,
                             int64_t keys,
                             const at::Tensor& bias,
                             bool bias_gradient,
                             const at::Tensor& log_sums,
                             const Qkv<T>& dx) {
  const at::Tensor dout = gradient.to(type_of<T>()).contiguous();
  const at::Tensor dbias = bias_gradient ? at::zeros_like(bias) : at::Tensor();
  problem(x, dout, keys, bias, log_sums)
      .backward(part_of<const T>(dout, 1, 0, log_sums.size(1)),
                dx.q,
                dx.k,
                dx.v,
                dbias.defined() ? dbias.mutable_data_ptr<float>() : nullptr);
  return dbias;
}

// qkv [B, N, 3·D] is contiguous and of T's type.
template <class T>
struct SelfAttentionCpu : torch::autograd::Function<SelfAttentionCpu<T>> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& qkv,
                            const std::optional<at::Tensor>& given_bias,
                            int64_t heads) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const auto [out, log_sums] = attended(packed<const T>(qkv, heads),
                                          {qkv.size(0), qkv.size(1), qkv.size(2) / 3},
                                          qkv.size(1),
                                          bias,
                                          heads,
                                          qkv.options());
    ctx->save_for_backward({qkv, bias, log_sums});
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &qkv = saved[0], &bias = saved[1], &log_sums = saved[2];
    const int64_t heads = log_sums.size(1);
    const at::Tensor dqkv = PaddedRows(qkv.sizes(), qkv.options()).view();
    const at::Tensor dbias = attended_backward(packed<const T>(qkv, heads),
                                               grads[0],
                                               qkv.size(1),
                                               bias,
                                               bias.defined() && ctx->needs_input_grad(1),
                                               log_sums,
                                               packed<T>(dqkv, heads));
    return {dqkv, dbias, at::Tensor()};
  }
};

// q [B, M, D] and kv [B, N, 2·D] are contiguous and of T's type.
template <class T>
struct CrossAttentionCpu : torch::autograd::Function<CrossAttentionCpu<T>> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& q,
                            const at::Tensor& kv,
                            const std::optional<at::Tensor>& given_bias,
                            int64_t heads) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const auto [out, log_sums] =
        attended(apart<const T>(q, kv, heads), q.sizes(), kv.size(1), bias, heads, q.options());
    ctx->save_for_backward({q, kv, bias, log_sums});
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &kv = saved[1], &bias = saved[2], &log_sums = saved[3];
    const int64_t heads = log_sums.size(1);
    const at::Tensor dkv = PaddedRows(kv.sizes(), kv.options()).view(), dq = at::empty_like(q);
    const at::Tensor dbias = attended_backward(apart<const T>(q, kv, heads),
                                               grads[0],
                                               kv.size(1),
                                               bias,
                                               bias.defined() && ctx->needs_input_grad(2),
                                               log_sums,
                                               apart<T>(dq, dkv, heads));
    return {dq, dkv, dbias, at::Tensor()};
  }
};

// A head's scratch memory grows with queries · keys; beyond a few MiB, blockwise operators are
// faster.
bool fits_heads(const at::Tensor& q, int64_t keys, const at::Tensor& bias) {
  const bool shared_bias = !bias.defined() || bias.dim() < 4 || bias.size(0) == 1;
  return use_cpu_kernels(q) && shared_bias && q.size(1) * keys <= 1024 * 1024;
}

at::Tensor as_heads_need(const at::Tensor& x) { return x.to(compute_type()).contiguous(); }

// The bias that all images share, as contiguous float32 [H, M, N]; empty without a bias.
std::optional<at::Tensor> whole_bias(const at::Tensor& bias,
                                     int64_t heads,
                                     int64_t queries,
                                     int64_t keys) {
  if (!bias.defined()) return std::nullopt;
  const at::Tensor one = bias.dim() == 4 ? bias[0] : bias;
  return one.to(at::kFloat).expand({heads, queries, keys}).contiguous();
}

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias) {
  const int64_t tokens = qkv.size(1);
  if (fits_heads(qkv, tokens, bias)) {
    const auto whole = whole_bias(bias, heads, tokens, tokens);
    return compute_type() == at::kBFloat16
               ? SelfAttentionCpu<Bf16>::apply(as_heads_need(qkv), whole, heads)
               : SelfAttentionCpu<float>::apply(as_heads_need(qkv), whole, heads);
  }
  const auto parts = split_heads(qkv.to(compute_type()), 3, heads);
  return attend(parts[0], parts[1], parts[2], bias);
}

at::Tensor cross_attention(const at::Tensor& q,
                           const at::Tensor& kv,
                           int64_t heads,
                           const at::Tensor& bias) {
  if (fits_heads(q, kv.size(1), bias)) {
    const auto whole = whole_bias(bias, heads, q.size(1), kv.size(1));
    return compute_type() == at::kBFloat16
               ? CrossAttentionCpu<Bf16>::apply(as_heads_need(q), as_heads_need(kv), whole, heads)
               : CrossAttentionCpu<float>::apply(as_heads_need(q), as_heads_need(kv), whole, heads);
  }
  const auto parts = split_heads(kv.to(compute_type()), 2, heads);
  return attend(split_heads(q.to(compute_type()), 1, heads)[0], parts[0], parts[1], bias);
}

at::Tensor attention_weights(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias) {
  const auto parts = split_heads(qkv.to(at::kFloat), 3, heads);
  at::Tensor logits = parts[0]
                          .matmul(parts[1].transpose(-2, -1))
                          .div(std::sqrt(static_cast<double>(parts[0].size(-1))));
  if (bias.defined()) logits = logits.add(bias);
  return logits.softmax(-1);
}

}  // namespace previt
