#include "models/layers/kernels.h"

#include <torch/nn/functional.h>

#include "models/layers/precision.h"

namespace previt {
namespace {

at::Tensor cast(const at::Tensor& x) { return x.defined() ? x.to(compute_type()) : x; }

// [B, N, parts·H·d] → parts tensors [B, H, N, d].
std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t parts, int64_t heads) {
  const int64_t width = x.size(2) / parts / heads;
  return x.view({x.size(0), x.size(1), parts, heads, width}).permute({2, 0, 3, 1, 4}).unbind(0);
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  at::Tensor logits = q.mul(1 / std::sqrt(static_cast<double>(q.size(-1)))).matmul(k.transpose(-2, -1));
  if (bias.defined()) logits = logits + bias;
  const at::Tensor out = logits.softmax(-1, torch::kFloat32).to(v.scalar_type()).matmul(v);
  return out.transpose(1, 2).flatten(2);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return torch::linear(cast(x), cast(weight), cast(bias));
}

at::Tensor linear_gelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return torch::gelu(linear(x, weight, bias));
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  return cast(torch::layer_norm(x.to(torch::kFloat32), {x.size(-1)}, weight, bias, eps));
}

at::Tensor self_attention(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias) {
  const auto parts = split_heads(qkv, 3, heads);
  return attend(parts[0], parts[1], parts[2], bias);
}

at::Tensor cross_attention(const at::Tensor& q, const at::Tensor& kv, int64_t heads, const at::Tensor& bias) {
  const auto parts = split_heads(kv, 2, heads);
  return attend(split_heads(q, 1, heads)[0], parts[0], parts[1], bias);
}

at::Tensor attention_weights(const at::Tensor& qkv, int64_t heads, const at::Tensor& bias) {
  const auto parts = split_heads(qkv.to(torch::kFloat32), 3, heads);
  at::Tensor logits =
      parts[0].matmul(parts[1].transpose(-2, -1)) / std::sqrt(static_cast<double>(parts[0].size(-1)));
  if (bias.defined()) logits = logits + bias;
  return logits.softmax(-1);
}

}  // namespace previt
