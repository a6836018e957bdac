#pragma once

#include <torch/nn/module.h>

#include "models/kernels/weight_copy.h"

namespace previt {

/// y = x Wᵀ + b on kernels.h, in compute_type(). Parameters `weight` [O, I] and `bias` [O] are zero
/// until they are initialised or loaded.
class Linear : public torch::nn::Module {
 public:
  Linear(int64_t in, int64_t out, bool with_bias = true);

  at::Tensor forward(const at::Tensor& x) const;  ///< [..., I] → [..., O]
  /// With this bias [O], or with none if it is undefined, instead of its own.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& other_bias) const;
  at::Tensor forward_gelu(const at::Tensor& x) const;  ///< gelu(forward(x)), in one pass

  at::Tensor weight_in_compute_type() const;  ///< differentiable, from the copy that forward uses

  at::Tensor weight, bias;  ///< bias is undefined without one

 private:
  mutable WeightCopy copy_;
};

}  // namespace previt
