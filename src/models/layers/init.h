#pragma once

#include <torch/nn/module.h>

namespace previt {

/// While an object of this class lives, a Vit that its thread makes draws no first weights, and its
/// Linear weights take no memory. For networks that get all weights from elsewhere right after
/// (share_into).
class WithoutWeights {
 public:
  WithoutWeights();
  ~WithoutWeights();
  WithoutWeights(const WithoutWeights&) = delete;
  WithoutWeights& operator=(const WithoutWeights&) = delete;

  static bool now();
  static at::Tensor zeros(at::IntArrayRef sizes);  ///< now() one number that is seen as so many
};

// All of these work in place, draw from torch's default generator and record no gradients.

/// Standard deviation of the first weights of BEiT and SimMIM, and the value where they are cut.
constexpr double kBeitInitStd = 0.02;

/// Normal(0, std) cut at ±cut, an absolute value (timm: 2; BEiT's pretraining: std).
void trunc_normal_(at::Tensor t, double std, double cut = 2);

/// Uniform in ±√(6 / (fan_in + fan_out)) for t seen as the matrix [first dimension, all others].
void xavier_uniform_(at::Tensor t);

/// The framework's own initialisation of convolutions: uniform in ±1/√fan_in, for weight and bias.
void conv_default_(at::Tensor weight, at::Tensor bias);

/// Initialises `module` and all modules in it. Linear: weight as the function's name says, bias 0.
/// LayerNorm: weight 1, bias 0. LayerScale: its initial value. q_bias, v_bias, relative tables: 0.
void init_linears_trunc_normal(torch::nn::Module& module, double std = 0.02, double cut = 2);
void init_linears_xavier(torch::nn::Module& module);

/// Initialises every Linear in `module` as the framework does its own: uniform in ±1/√fan_in.
void init_linears_framework(torch::nn::Module& module);

/// Divides what a block adds to its tokens (attn.proj and the MLP's last layer) by √(2·layer),
/// layer counted from 1 (fix_init_weight in unilm:beit/modeling_pretrain.py, SimMIM).
void rescale_block_(torch::nn::Module& block, int64_t layer);

}  // namespace previt
