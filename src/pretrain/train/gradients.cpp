#include "pretrain/train/gradients.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <torch/types.h>

#include "communicator.h"

namespace previt {
namespace {

double clip_factor(double norm, double max_norm) { return max_norm / (norm + 1e-6); }

// Of norms on a device, in the type in which foreach operators multiply by them at once.
at::Tensor clip_factors(const at::Tensor& norms, double max_norm, at::ScalarType type) {
  const at::Tensor whole = torch::full_like(norms, max_norm, torch::kDouble);
  return (whole / (norms.to(torch::kDouble) + 1e-6)).clamp_max(1).to(type);
}

}  // namespace

Gradients::Gradients(const std::vector<TrainedParameter>& parameters) {
  const torch::NoGradGuard no_grad;
  for (const auto& parameter : parameters) {
    if (parameter.tensor.grad().defined()) gradients_.push_back(parameter.tensor.grad());
  }
  if (gradients_.empty()) {
    norm_ = torch::zeros({});
    return;
  }
  norms_ = torch::stack(at::_foreach_norm(gradients_, 2));
  norm_ = norms_.norm();
}

void Gradients::clip_global(double norm, double max_norm) {
  const torch::NoGradGuard no_grad;
  const double factor = clip_factor(norm, max_norm);
  if (factor < 1) at::_foreach_mul_(gradients_, factor);
}

void Gradients::clip_per_parameter(double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients_.empty()) return;
  const at::Tensor norms = norms_.to(torch::kDouble).cpu();
  world().broadcast(norms);  // other processors may round them otherwise
  std::vector<at::Tensor> longer;
  std::vector<at::Scalar> factors;
  for (size_t i = 0; i < gradients_.size(); ++i) {
    const double factor = clip_factor(norms.const_data_ptr<double>()[i], max_norm);
    if (factor >= 1) continue;
    longer.push_back(gradients_[i]);
    factors.emplace_back(factor);
  }
  if (!longer.empty()) at::_foreach_mul_(longer, factors);
}

void Gradients::clip_global_there(const at::Tensor& norm, double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients_.empty()) return;
  at::_foreach_mul_(gradients_, clip_factors(norm, max_norm, gradients_.front().scalar_type()));
}

void Gradients::clip_per_parameter_there(double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients_.empty()) return;
  world().broadcast(norms_);
  const auto type = gradients_.front().scalar_type();
  at::_foreach_mul_(gradients_, clip_factors(norms_, max_norm, type).unbind());
}

}  // namespace previt
