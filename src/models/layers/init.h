#pragma once

#include <torch/nn/module.h>

namespace previt {

// In place, from torch's default generator, without recording gradients.

/// Deviation, and where the normal is cut, of what BEiT and SimMIM start from.
constexpr double kBeitInitStd = 0.02;

/// Normal(0, std) cut at ±cut, an absolute value (timm: 2; BEiT's pretraining: std).
void trunc_normal_(at::Tensor t, double std, double cut = 2);

/// Uniform in ±√(6 / (fan_in + fan_out)) for t seen as the matrix [first dimension, all others].
void xavier_uniform_(at::Tensor t);

/// The framework's own initialisation of convolutions: uniform in ±1/√fan_in, for weight and bias.
void conv_default_(at::Tensor weight, at::Tensor bias);

/// Every LayerNorm 1 and 0, LayerScale its initial value, q_bias, v_bias and relative tables 0, and
/// every Linear: bias 0, weight by the name. Modules inside `module` and itself.
void init_linears_trunc_normal(torch::nn::Module& module, double std = 0.02, double cut = 2);
void init_linears_xavier(torch::nn::Module& module);

/// Every Linear inside `module` as the framework starts its own: uniform in ±1/√fan_in.
void init_linears_framework(torch::nn::Module& module);

/// Divides what a block adds to its tokens (attn.proj and the MLP's last layer) by √(2·layer),
/// layer counted from 1 (BEiT, SimMIM).
void rescale_block_(torch::nn::Module& block, int64_t layer);

}  // namespace previt
