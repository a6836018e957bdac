#include "pretrain/losses/dvae_loss.h"

#include <torch/types.h>

#include <cmath>

namespace previt {
namespace {

constexpr double kMargin = 0.1;

}  // namespace

at::Tensor gumbel_softmax(const at::Tensor& logits, double temperature) {
  // The negative logarithm of an exponential variable is Gumbel noise.
  const at::Tensor noise = -torch::empty_like(logits).exponential_().log();
  return ((logits + noise) / temperature).softmax(1);
}

at::Tensor kl_to_uniform(const at::Tensor& logits) {
  const at::Tensor log_q = logits.log_softmax(1);
  return (log_q.exp() * log_q).sum(1).mean() + std::log(static_cast<double>(logits.size(1)));
}

at::Tensor logit_laplace_loss(const at::Tensor& pixels, const at::Tensor& parameters) {
  const auto halves = parameters.chunk(2, 1);
  const at::Tensor x = (1 - 2 * kMargin) * pixels.clamp(0, 1) + kMargin;
  const at::Tensor distance = (torch::logit(x) - halves[0]).abs();
  return (distance * torch::exp(-halves[1]) + halves[1] + torch::log(2 * x * (1 - x))).mean();
}

at::Tensor logit_laplace_pixels(const at::Tensor& parameters) {
  const at::Tensor x = torch::sigmoid(parameters.chunk(2, 1)[0]);
  return ((x - kMargin) / (1 - 2 * kMargin)).clamp(0, 1);
}

}  // namespace previt
