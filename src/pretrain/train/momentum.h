#pragma once

#include "pretrain/train/optimizer.h"

namespace previt {

/// SGD with momentum: p ← p - lr · m with m ← momentum · m + (g + wd · p), m starting at the first
/// gradient, as in PyTorch.
class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, std::vector<TrainedParameter> parameters);
  std::vector<Slot> slots() const override;

 protected:
  void make_step(double lr, double weight_decay, const at::Tensor& made) override;
  /// What goes into the momentum buffer.
  virtual at::Tensor update(const TrainedParameter& parameter, double weight_decay) const;

 private:
  double momentum_;
};

/// LARS (You et al. 2017) as MAE's and DINO's linear probes use it: parameters of more than one
/// dimension get g + wd · p, scaled by trust · ‖p‖ / ‖g + wd · p‖ (1 if either norm is 0); the
/// others get g.
class Lars final : public Sgd {
 public:
  Lars(const OptimizerOptions& options, std::vector<TrainedParameter> parameters);

 protected:
  at::Tensor update(const TrainedParameter& parameter, double weight_decay) const override;

 private:
  double trust_coefficient_;
};

}  // namespace previt
