#pragma once

#include "pretrain/train/optimizer.h"

namespace previt {

/// AdamW (Loshchilov and Hutter 2019): decay first, p ← p (1 - lr·wd), then the Adam step with bias
/// correction and eps outside the square root, as in PyTorch.
class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, std::vector<TrainedParameter> parameters);
  std::vector<Slot> slots() const override;
  bool leaves_out() const override { return true; }

 private:
  void make_step(double lr, double weight_decay, const at::Tensor& made) override;

  double beta1_, beta2_, eps_;
};

}  // namespace previt
