#include "models/layers/attention.h"

#include <cmath>

#include "error.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"
#include "models/layers/linear.h"

namespace previt {
namespace {

// [B, M, H·w] → [H, B·M, w] and back.
at::Tensor by_head(const at::Tensor& x, int64_t heads) {
  return x.reshape({-1, heads, x.size(2) / heads}).transpose(0, 1);
}
at::Tensor by_token(const at::Tensor& x, int64_t batch) {
  return x.transpose(0, 1).reshape({batch, -1, x.size(0) * x.size(2)});
}

// Keys and values of all tokens cost 2·N·D·W multiply-adds. attention_of_few costs 2·M·H·N·D, but
// in matmuls too narrow to be fast: hence the 4.
bool are_few(int64_t queries, int64_t heads, int64_t width) { return 4 * queries * heads <= width; }

// With k = x Wkᵀ and v = x Wvᵀ + b, q kᵀ is (q Wk) xᵀ and p v is (p x) Wvᵀ + b, so a few queries q
// [B, M, W] need no keys and values of all tokens x [B, N, D]. A bias of the keys would add the
// same to all logits of a query, which the softmax cancels.
at::Tensor attention_of_few(const at::Tensor& q,
                            const at::Tensor& x,
                            const at::Tensor& key_weight,
                            const at::Tensor& value_weight,
                            const at::Tensor& value_bias,
                            const at::Tensor& bias,
                            int64_t heads) {
  const at::ScalarType type = q.scalar_type();
  const int64_t batch = x.size(0), count = q.size(1), dim = x.size(2);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(2) / heads));
  const auto of_heads = [&](const at::Tensor& w) { return w.to(type).view({heads, -1, dim}); };
  const at::Tensor tokens = x.to(type);

  const at::Tensor keyed = by_token(by_head(q * scale, heads).bmm(of_heads(key_weight)), batch);
  at::Tensor logits =
      keyed.view({batch, count * heads, dim}).bmm(tokens.transpose(1, 2));  // [B, M·H, N]
  logits = logits.view({batch, count, heads, -1}).transpose(1, 2);
  if (bias.defined()) logits = logits + bias;
  const at::Tensor p = logits.softmax(-1, at::kFloat).to(type).transpose(1, 2);  // [B, M, H, N]

  const at::Tensor mixed = p.reshape({batch, count * heads, -1}).bmm(tokens);
  const at::Tensor out =
      by_head(mixed.view({batch, count, -1}), heads).bmm(of_heads(value_weight).transpose(1, 2));
  const at::Tensor rows = by_token(out, batch);
  return value_bias.defined() ? rows + value_bias.to(type) : rows;
}

}  // namespace

Attention::Attention(
    int64_t dim, int64_t heads, int64_t width, QkvBias qkv_bias, int64_t relative_rows)
    : heads_(heads), width_(width) {
  qkv_ =
      register_module("qkv", std::make_shared<Linear>(dim, 3 * width, qkv_bias == QkvBias::full));
  if (qkv_bias == QkvBias::qv) {
    q_bias = register_parameter("q_bias", torch::zeros({width}));
    v_bias = register_parameter("v_bias", torch::zeros({width}));
  }
  if (relative_rows > 0) {
    relative_position_bias_table =
        register_parameter("relative_position_bias_table", torch::zeros({relative_rows, heads}));
  }
  proj_ = register_module("proj", std::make_shared<Linear>(width, dim));
}

at::Tensor Attention::packed_bias() const {
  return q_bias.defined() ? torch::cat({q_bias, torch::zeros_like(v_bias), v_bias}) : qkv_->bias;
}

at::Tensor Attention::forward(const at::Tensor& x,
                              const at::Tensor& bias,
                              int64_t first_query,
                              int64_t end_query) const {
  const at::Tensor b = packed_bias();
  if (first_query == 0 && end_query >= x.size(1)) {
    return proj_->forward(self_attention(qkv_->forward(x, b), heads_, bias));
  }
  // The parts of a weight are views of its one copy; the CPU's kernels convert each by itself.
  const at::Tensor weight = use_cpu_kernels(x) ? qkv_->weight : qkv_->weight_in_compute_type();
  const auto rows = [&](const at::Tensor& t, int64_t begin, int64_t end) {
    return t.defined() ? t.slice(0, begin, end) : t;
  };
  const at::Tensor q =
      linear(x.slice(1, first_query, end_query), rows(weight, 0, width_), rows(b, 0, width_));
  const at::Tensor query_bias = bias.defined() ? bias.slice(-2, first_query, end_query) : bias;
  at::Tensor own;
  if (are_few(q.size(1), heads_, width_)) {
    own = attention_of_few(q,
                           x,
                           rows(weight, width_, 2 * width_),
                           rows(weight, 2 * width_, 3 * width_),
                           rows(b, 2 * width_, 3 * width_),
                           query_bias,
                           heads_);
  } else {
    const at::Tensor kv = linear(x, rows(weight, width_, 3 * width_), rows(b, width_, 3 * width_));
    own = cross_attention(q, kv, heads_, query_bias);
  }
  return proj_->forward(own);
}

at::Tensor Attention::forward_rows(const at::Tensor& x,
                                   const at::Tensor& bias,
                                   const at::Tensor& rows) const {
  const at::Tensor all = self_attention(qkv_->forward(x, packed_bias()), heads_, bias);
  return proj_->forward(all.flatten(0, 1).index_select(0, rows));
}

at::Tensor Attention::weights(const at::Tensor& x, const at::Tensor& bias) const {
  return attention_weights(qkv_->forward(x, packed_bias()), heads_, bias);
}

void Attention::reset() {
  torch::NoGradGuard no_grad;
  for (at::Tensor parameter : {q_bias, v_bias, relative_position_bias_table}) {
    if (parameter.defined()) parameter.zero_();
  }
}

}  // namespace previt
