#pragma once

#include <torch/nn/module.h>

namespace previt {

/// A learned gain per channel on a residual branch (CaiT: Touvron et al. 2021, arXiv:2103.17239).
/// Parameter `gamma` [D], which the block applies as it adds the branch.
class LayerScale : public torch::nn::Module {
 public:
  LayerScale(int64_t dim, double initial);
  void reset();

  at::Tensor gamma;

 private:
  double initial_;
};

}  // namespace previt
