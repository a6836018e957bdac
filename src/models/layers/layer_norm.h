#pragma once

#include <torch/nn/module.h>

#include "models/kernels/kernels.h"

namespace previt {

/// LayerNorm over the last dimension on kernels.h: float32 statistics, result in compute_type().
/// Parameters `weight` (ones) and `bias` (zeros), both [D].
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(int64_t dim, double eps);

  at::Tensor forward(const at::Tensor& x) const;
  /// x and its norm, for a branch that is added to x; see fork_layer_norm.
  Forked fork(const at::Tensor& x, const at::Tensor& kept = {}) const;
  /// x + branch and its norm.
  Forked add_and_fork(const at::Tensor& x,
                      const at::Tensor& branch,
                      const at::Tensor& kept = {}) const;
  void reset();

  at::Tensor weight, bias;

 private:
  double eps_;
};

}  // namespace previt
