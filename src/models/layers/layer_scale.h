#pragma once

#include <torch/nn/module.h>

namespace previt {

/// A learned gain per channel on a residual branch (CaiT): parameter `gamma` [D].
class LayerScale : public torch::nn::Module {
 public:
  LayerScale(int64_t dim, double initial);

  at::Tensor forward(const at::Tensor& x) const { return x * gamma; }  ///< float32
  void reset();

  at::Tensor gamma;

 private:
  double initial_;
};

}  // namespace previt
