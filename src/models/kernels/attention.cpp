#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "models/kernels/heads.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"
#include "models/kernels/products.h"

namespace previt {
namespace {

using simd::Bf16;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// [B, N, parts·H·d] → parts tensors [B, H, N, d].
std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t parts, int64_t heads) {
  const int64_t width = x.size(2) / parts / heads;
  return x.reshape({x.size(0), x.size(1), parts, heads, width}).permute({2, 0, 3, 1, 4}).unbind(0);
}

at::Tensor attend(const at::Tensor& q,
                  const at::Tensor& k,
                  const at::Tensor& v,
                  const at::Tensor& bias) {
  at::Tensor out;
  // In float32 on the CPU the blockwise operator keeps no weights, in the same time; it can't give
  // the gradient of a bias.
  if (q.is_cuda() || (q.scalar_type() == at::kFloat && !bias.defined())) {
    const auto mask =
        bias.defined() ? std::optional<at::Tensor>(bias.to(q.scalar_type())) : std::nullopt;
    out = at::scaled_dot_product_attention(q, k, v, mask);
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

// q [B, M, D], kv [B, N, parts·D] whose last two parts are the keys and values: with all three
// parts of one tensor, q and kv are the same.
struct Packed {
  at::Tensor q, kv;
  int64_t heads, parts;
  int64_t q_parts() const { return parts == 3 ? 3 : 1; }
  int64_t dim() const { return kv.size(2) / parts; }
};

HeadAttention problem(const Packed& x, const at::Tensor& bias, const at::Tensor& log_sums) {
  HeadAttention a;
  a.batch = x.q.size(0);
  a.heads = x.heads;
  a.queries = x.q.size(1);
  a.keys = x.kv.size(1);
  a.width = x.dim() / x.heads;
  a.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(a.width)));
  a.q = part_of<const Bf16>(x.q, x.q_parts(), 0, x.heads);
  a.k = part_of<const Bf16>(x.kv, x.parts, x.parts - 2, x.heads);
  a.v = part_of<const Bf16>(x.kv, x.parts, x.parts - 1, x.heads);
  if (bias.defined()) a.bias = {bias.const_data_ptr<float>(), 0, a.keys, a.queries * a.keys};
  a.log_sums = log_sums.mutable_data_ptr<float>();
  return a;
}

// q and kv are bfloat16 and contiguous, bias is undefined or contiguous float32 [H, M, N].
struct AttentionCpu : torch::autograd::Function<AttentionCpu> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& q,
                            const at::Tensor& kv,
                            const std::optional<at::Tensor>& given_bias,
                            int64_t heads,
                            int64_t parts) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const Packed x{q, kv, heads, parts};
    const at::Tensor log_sums =
        at::empty({q.size(0), heads, q.size(1)}, q.options().dtype(at::kFloat));
    const at::Tensor out = empty_rows({q.size(0), q.size(1), x.dim()}, q.options());
    problem(x, bias, log_sums).forward(part_of<Bf16>(out, 1, 0, heads));
    ctx->save_for_backward({q, kv, bias, log_sums});
    ctx->saved_data["heads"] = heads;
    ctx->saved_data["parts"] = parts;
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& bias = saved[2];
    const Packed x{
        saved[0], saved[1], ctx->saved_data["heads"].toInt(), ctx->saved_data["parts"].toInt()};
    const at::Tensor dout = grads[0].to(at::kBFloat16).contiguous();
    const at::Tensor dkv = empty_rows(x.kv.sizes(), x.kv.options());
    const bool shared = x.parts == 3;
    const at::Tensor dq = shared ? dkv : at::empty_like(x.q);
    at::Tensor dbias;
    if (bias.defined() && ctx->needs_input_grad(2)) dbias = at::zeros_like(bias);
    problem(x, bias, saved[3])
        .backward(part_of<const Bf16>(dout, 1, 0, x.heads),
                  part_of<Bf16>(dq, x.q_parts(), 0, x.heads),
                  part_of<Bf16>(dkv, x.parts, x.parts - 2, x.heads),
                  part_of<Bf16>(dkv, x.parts, x.parts - 1, x.heads),
                  dbias.defined() ? dbias.mutable_data_ptr<float>() : nullptr);
    // One tensor for all three parts was given once, as kv; q then stands for its values only.
    return {shared ? at::Tensor() : dq, dkv, dbias, at::Tensor(), at::Tensor()};
  }
};

// A head's scratch grows with queries · keys; beyond a few MiB blockwise operators win.
bool fits_heads(const at::Tensor& q, int64_t keys, const at::Tensor& bias) {
  const bool shared_bias = !bias.defined() || bias.dim() < 4 || bias.size(0) == 1;
  return use_cpu_kernels(q) && compute_type() == at::kBFloat16 && shared_bias &&
         q.size(1) * keys <= 1024 * 1024;
}

at::Tensor attend_heads(const at::Tensor& q,
                        const at::Tensor& kv,
                        const at::Tensor& bias,
                        int64_t heads,
                        int64_t parts) {
  std::optional<at::Tensor> whole;
  if (bias.defined()) {
    const at::Tensor one = bias.dim() == 4 ? bias[0] : bias;
    whole = one.to(at::kFloat).expand({heads, q.size(1), kv.size(1)}).contiguous();
  }
  const at::Tensor values = kv.to(at::kBFloat16).contiguous();
  const at::Tensor queries = parts == 3 ? values.detach() : q.to(at::kBFloat16).contiguous();
  return AttentionCpu::apply(queries, values, whole, heads, parts);
}

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias) {
  if (fits_heads(qkv, qkv.size(1), bias)) return attend_heads(qkv, qkv, bias, heads, 3);
  const auto parts = split_heads(qkv.to(compute_type()), 3, heads);
  return attend(parts[0], parts[1], parts[2], bias);
}

at::Tensor cross_attention(const at::Tensor& q,
                           const at::Tensor& kv,
                           int64_t heads,
                           const at::Tensor& bias) {
  if (fits_heads(q, kv.size(1), bias)) return attend_heads(q, kv, bias, heads, 2);
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
