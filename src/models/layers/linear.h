#pragma once

#include <torch/nn/module.h>

namespace previt {

/// y = x Wᵀ + b on kernels.h, in compute_type(). Parameters `weight` [O, I] and `bias` [O] are zero
/// until they are initialised or loaded.
class Linear : public torch::nn::Module {
 public:
  Linear(int64_t in, int64_t out, bool with_bias = true);

  at::Tensor forward(const at::Tensor& x) const;  ///< [..., I] → [..., O]

  at::Tensor weight, bias;  ///< bias is undefined without one
};

}  // namespace previt
