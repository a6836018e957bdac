#include "models/layers/attention.h"

#include "error.h"
#include "models/layers/kernels.h"
#include "models/layers/linear.h"

namespace previt {

Attention::Attention(int64_t dim, int64_t heads, const std::string& qkv_bias, int64_t relative_rows)
    : heads_(heads) {
  if (qkv_bias != "full" && qkv_bias != "qv" && qkv_bias != "none") {
    fail_usage("model.qkv_bias: {} is not one of full, qv, none", qkv_bias);
  }
  qkv_ = register_module("qkv", std::make_shared<Linear>(dim, 3 * dim, qkv_bias == "full"));
  if (qkv_bias == "qv") {
    q_bias = register_parameter("q_bias", torch::zeros({dim}));
    v_bias = register_parameter("v_bias", torch::zeros({dim}));
  }
  if (relative_rows > 0) {
    relative_position_bias_table =
        register_parameter("relative_position_bias_table", torch::zeros({relative_rows, heads}));
  }
  proj_ = register_module("proj", std::make_shared<Linear>(dim, dim));
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
    return proj_->forward(self_attention(linear(x, qkv_->weight, b), heads_, bias));
  }
  const int64_t dim = x.size(2);
  const auto rows = [&](const at::Tensor& t, int64_t begin, int64_t end) {
    return t.defined() ? t.slice(0, begin, end) : t;
  };
  const at::Tensor q =
      linear(x.slice(1, first_query, end_query), rows(qkv_->weight, 0, dim), rows(b, 0, dim));
  const at::Tensor kv = linear(x, rows(qkv_->weight, dim, 3 * dim), rows(b, dim, 3 * dim));
  const at::Tensor query_bias = bias.defined() ? bias.slice(-2, first_query, end_query) : bias;
  return proj_->forward(cross_attention(q, kv, heads_, query_bias));
}

at::Tensor Attention::forward_rows(const at::Tensor& x,
                                   const at::Tensor& bias,
                                   const at::Tensor& rows) const {
  const at::Tensor all = self_attention(linear(x, qkv_->weight, packed_bias()), heads_, bias);
  return proj_->forward(all.flatten(0, 1).index_select(0, rows));
}

at::Tensor Attention::weights(const at::Tensor& x, const at::Tensor& bias) const {
  return attention_weights(linear(x, qkv_->weight, packed_bias()), heads_, bias);
}

void Attention::reset() {
  torch::NoGradGuard no_grad;
  for (at::Tensor parameter : {q_bias, v_bias, relative_position_bias_table}) {
    if (parameter.defined()) parameter.zero_();
  }
}

}  // namespace previt
