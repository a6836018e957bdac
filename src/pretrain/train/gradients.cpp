#include "pretrain/train/gradients.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <torch/types.h>

#include <cmath>
#include <map>

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
    if (!parameter.tensor.grad().defined()) continue;
    gradients_.push_back(parameter.tensor.grad());
    networks_.push_back(parameter.rule.network);
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

std::vector<double> Gradients::norms_here() const {
  if (gradients_.empty()) return {};
  const at::Tensor norms = norms_.to(torch::kDouble).cpu();
  world().broadcast(norms);  // other processors may round them otherwise
  const double* first = norms.const_data_ptr<double>();
  return {first, first + norms.numel()};
}

void Gradients::clip_per_network(double max_norm) {
  std::vector<double> norms = norms_here();
  std::map<int64_t, double> squares;
  for (size_t i = 0; i < norms.size(); ++i) squares[networks_[i]] += norms[i] * norms[i];
  for (size_t i = 0; i < norms.size(); ++i) norms[i] = std::sqrt(squares.at(networks_[i]));
  clip_by(norms, max_norm);
}

void Gradients::clip_per_parameter(double max_norm) { clip_by(norms_here(), max_norm); }

void Gradients::clip_by(const std::vector<double>& of_each, double max_norm) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> longer;
  std::vector<at::Scalar> factors;
  for (size_t i = 0; i < gradients_.size(); ++i) {
    const double factor = clip_factor(of_each[i], max_norm);
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

void Gradients::clip_per_network_there(double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients_.empty()) return;
  world().broadcast(norms_);
  const std::vector<at::Tensor> norms = norms_.unbind();
  std::map<int64_t, std::vector<at::Tensor>> of_networks;
  for (size_t i = 0; i < norms.size(); ++i) of_networks[networks_[i]].push_back(norms[i]);
  std::map<int64_t, at::Tensor> factors;
  for (const auto& [network, own] : of_networks) {
    factors[network] = clip_factors(
        torch::stack(own).to(torch::kDouble).norm(), max_norm, gradients_.front().scalar_type());
  }
  std::vector<at::Tensor> of_each;
  for (const int64_t network : networks_) of_each.push_back(factors.at(network));
  at::_foreach_mul_(gradients_, of_each);
}

void Gradients::clip_per_parameter_there(double max_norm) {
  const torch::NoGradGuard no_grad;
  if (gradients_.empty()) return;
  world().broadcast(norms_);
  const auto type = gradients_.front().scalar_type();
  at::_foreach_mul_(gradients_, clip_factors(norms_, max_norm, type).unbind());
}

}  // namespace previt
