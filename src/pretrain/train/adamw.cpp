#include "pretrain/train/adamw.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>
#include <torch/types.h>

#include <map>
#include <optional>
#include <utility>

#include "error.h"
#include "models/kernels/weight_copy.h"

namespace previt {
namespace {

/// Tensors that share one rate and one decay, in the order in which the fused kernel takes them.
struct Group {
  std::vector<at::Tensor> weights, gradients, means, squares, steps;
};

}  // namespace

AdamW::AdamW(const OptimizerOptions& options, std::vector<TrainedParameter> parameters)
    : Optimizer(std::move(parameters)), eps_(options.eps) {
  if (options.betas.size() != 2) fail_usage("optimizer.betas: two numbers are needed");
  beta1_ = options.betas[0];
  beta2_ = options.betas[1];
}

std::vector<Optimizer::Slot> AdamW::slots() const {
  return {{"exp_avg", false}, {"exp_avg_sq", false}, {"step", true}};
}

void AdamW::make_step(double lr, double weight_decay, const at::Tensor& made) {
  const torch::NoGradGuard no_grad;
  std::optional<at::Tensor> counted, left_out;
  if (made.defined()) {
    counted = made.to(torch::kFloat32);
    left_out = 1 - *counted;
  }
  std::map<std::pair<double, bool>, Group> groups;
  for (size_t i = 0; i < parameters().size(); ++i) {
    const auto& [name, tensor, rule] = parameters()[i];
    if (!tensor.grad().defined()) continue;
    auto& slots = slots_of(i);
    Group& group = groups[{rule.lr_scale, rule.decay}];
    group.weights.push_back(tensor);
    group.gradients.push_back(tensor.grad());
    group.means.push_back(slots[0]);
    group.squares.push_back(slots[1]);
    group.steps.push_back(slots[2]);
  }
  for (auto& [rule, group] : groups) {
    counted ? at::_foreach_add_(group.steps, *counted) : at::_foreach_add_(group.steps, 1);
    at::_fused_adamw_(group.weights,
                      group.gradients,
                      group.means,
                      group.squares,
                      {},
                      group.steps,
                      lr * rule.first,
                      beta1_,
                      beta2_,
                      rule.second ? weight_decay : 0,
                      eps_,
                      /*amsgrad=*/false,
                      /*maximize=*/false,
                      /*grad_scale=*/{},
                      /*found_inf=*/left_out);
    // The fused kernel doesn't count its change as a new version of the weight.
    for (const auto& weight : group.weights) WeightCopy::changed(weight);
  }
}

}  // namespace previt
