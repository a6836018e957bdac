#include "pretrain/train/momentum.h"

#include <torch/types.h>

#include <utility>

namespace previt {

Sgd::Sgd(const OptimizerOptions& options, std::vector<TrainedParameter> parameters)
    : Optimizer(std::move(parameters)), momentum_(options.momentum) {}

std::vector<Optimizer::Slot> Sgd::slots() const { return {{"momentum", false}}; }

at::Tensor Sgd::update(const TrainedParameter& parameter, double weight_decay) const {
  const double decay = parameter.rule.decay ? weight_decay : 0;
  return decay > 0 ? parameter.tensor.grad().add(parameter.tensor, decay) : parameter.tensor.grad();
}

void Sgd::make_step(double lr, double weight_decay, const at::Tensor&) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters().size(); ++i) {
    const TrainedParameter& parameter = parameters()[i];
    if (!parameter.tensor.grad().defined()) continue;
    at::Tensor& momentum = slots_of(i)[0];
    momentum.mul_(momentum_).add_(update(parameter, weight_decay));
    at::Tensor(parameter.tensor).sub_(momentum, lr * parameter.rule.lr_scale);
  }
}

Lars::Lars(const OptimizerOptions& options, std::vector<TrainedParameter> parameters)
    : Sgd(options, std::move(parameters)), trust_coefficient_(options.trust_coefficient) {}

at::Tensor Lars::update(const TrainedParameter& parameter, double weight_decay) const {
  if (parameter.tensor.dim() <= 1) return parameter.tensor.grad();
  const at::Tensor gradient = Sgd::update(parameter, weight_decay);
  const at::Tensor weight_norm = parameter.tensor.norm();
  const at::Tensor gradient_norm = gradient.norm();
  const at::Tensor both = (weight_norm > 0).logical_and_(gradient_norm > 0);
  const at::Tensor ratio =
      torch::where(both, trust_coefficient_ * weight_norm / gradient_norm, 1.0);
  return gradient * ratio;
}

}  // namespace previt
