#pragma once

#include "pretrain/train/optimizer.h"

namespace previt {

/// AdamW (Loshchilov and Hutter 2019): decay first, p ← p (1 - lr·wd), then the Adam step with bias
/// correction and eps outside the square root, as in PyTorch.
class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, std::vector<TrainedParameter> parameters);
  void step(double lr, double weight_decay) override;
  std::vector<Slot> slots() const override;

 private:
  double beta1_, beta2_, eps_;
};

}  // namespace previt
