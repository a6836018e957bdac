#include "models/layers/layer_norm.h"

namespace previt {

LayerNorm::LayerNorm(int64_t dim, double eps) : eps_(eps) {
  weight = register_parameter("weight", torch::ones({dim}));
  bias = register_parameter("bias", torch::zeros({dim}));
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return layer_norm(x, weight, bias, eps_);
}

Forked LayerNorm::fork(const at::Tensor& x, const at::Tensor& kept) const {
  return fork_layer_norm(x, weight, bias, eps_, kept);
}

Forked LayerNorm::add_and_fork(const at::Tensor& x,
                               const at::Tensor& branch,
                               const at::Tensor& kept) const {
  return add_fork_layer_norm(x, branch, weight, bias, eps_, kept);
}

void LayerNorm::reset() {
  torch::NoGradGuard no_grad;
  weight.fill_(1);
  bias.zero_();
}

}  // namespace previt
