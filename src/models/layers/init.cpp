#include "models/layers/init.h"

#include <cmath>

#include "models/layers/attention.h"
#include "models/layers/layer_norm.h"
#include "models/layers/layer_scale.h"
#include "models/layers/linear.h"

namespace previt {
namespace {

thread_local int without_weights = 0;

void init_parts(torch::nn::Module& module, const std::function<void(at::Tensor)>& init_weight) {
  torch::NoGradGuard no_grad;
  module.apply([&](torch::nn::Module& part) {
    if (auto* linear = part.as<Linear>()) {
      init_weight(linear->weight);
      if (linear->bias.defined()) linear->bias.zero_();
    } else if (auto* norm = part.as<LayerNorm>()) {
      norm->reset();
    } else if (auto* scale = part.as<LayerScale>()) {
      scale->reset();
    } else if (auto* attention = part.as<Attention>()) {
      attention->reset();
    }
  });
}

}  // namespace

WithoutWeights::WithoutWeights() { ++without_weights; }
WithoutWeights::~WithoutWeights() { --without_weights; }
bool WithoutWeights::now() { return without_weights > 0; }

at::Tensor WithoutWeights::zeros(at::IntArrayRef sizes) {
  return now() ? torch::zeros({1}).expand(sizes) : torch::zeros(sizes);
}

void trunc_normal_(at::Tensor t, double std, double cut) {
  torch::NoGradGuard no_grad;
  // A uniform number goes through the inverse of the distribution function. The bound stays below
  // 1, where the inverse is infinite.
  const double bound = std::min(std::erf(cut / std / std::sqrt(2.0)), 1 - 1e-6);
  t.uniform_(-bound, bound).erfinv_().mul_(std * std::sqrt(2.0));
}

void xavier_uniform_(at::Tensor t) {
  torch::NoGradGuard no_grad;
  const auto fan_out = static_cast<double>(t.size(0));
  const double fan_in = static_cast<double>(t.numel()) / fan_out;
  const double bound = std::sqrt(6 / (fan_in + fan_out));
  t.uniform_(-bound, bound);
}

void conv_default_(at::Tensor weight, at::Tensor bias) {
  torch::NoGradGuard no_grad;
  // The framework's kaiming_uniform_ with a = √5 comes to this bound.
  const double fan_in = static_cast<double>(weight.numel()) / static_cast<double>(weight.size(0));
  const double bound = 1 / std::sqrt(fan_in);
  weight.uniform_(-bound, bound);
  bias.uniform_(-bound, bound);
}

void init_linears_trunc_normal(torch::nn::Module& module, double std, double cut) {
  init_parts(module, [=](at::Tensor weight) { trunc_normal_(weight, std, cut); });
}

void init_linears_xavier(torch::nn::Module& module) { init_parts(module, xavier_uniform_); }

void init_linears_framework(torch::nn::Module& module) {
  module.apply([](torch::nn::Module& part) {
    if (auto* linear = part.as<Linear>()) {
      conv_default_(linear->weight, linear->bias.defined() ? linear->bias : torch::empty({0}));
    }
  });
}

void rescale_block_(torch::nn::Module& block, int64_t layer) {
  torch::NoGradGuard no_grad;
  const double divisor = std::sqrt(2.0 * static_cast<double>(layer));
  for (auto& parameter : block.named_parameters()) {
    const std::string& name = parameter.key();
    if (name == "attn.proj.weight" || name == "mlp.fc2.weight" || name == "mlp.w3.weight") {
      parameter.value().div_(divisor);
    }
  }
}

}  // namespace previt
