#pragma once

#include <torch/nn/module.h>

namespace previt {

/// Convolution with a square kernel in compute_type(), padded so that [B, I, H, W] becomes
/// [B, O, H / stride, W / stride] (kernel 3 or 1 at stride 1, kernel 4 at stride 2). Parameters
/// `weight` [O, I, k, k] and `bias` [O] are initialised as the framework's.
class Conv : public torch::nn::Module {
 public:
  Conv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1);

  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight, bias;

 private:
  int64_t stride_;
};

}  // namespace previt
