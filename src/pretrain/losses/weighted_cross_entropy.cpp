#include "pretrain/losses/weighted_cross_entropy.h"

#include <torch/csrc/autograd/custom_function.h>

#include "error.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Written by hand so that only one array of the logits' size is kept, and one made for the
// gradient.
struct WeightedRows : torch::autograd::Function<WeightedRows> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& logits,
                            const at::Tensor& targets,
                            const at::Tensor& weights,
                            double temperature) {
    const at::Tensor log_p = at::log_softmax(logits * (1 / temperature), -1);
    ctx->save_for_backward({log_p, targets, weights});
    ctx->saved_data["temperature"] = temperature;
    return (targets * log_p).sum(1).dot(weights).neg();
  }

  // The gradient of a row is (n p - t) times its weight over the temperature, where n = Σ t.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &targets = saved[1], &weights = saved[2];
    const at::Tensor scale = weights * (grads[0] / ctx->saved_data["temperature"].toDouble());
    at::Tensor gradient = saved[0].exp().mul_(targets.sum(1, /*keepdim=*/true)).sub_(targets);
    return {gradient.mul_(scale.unsqueeze(1)), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor weighted_cross_entropy(const at::Tensor& logits,
                                  const at::Tensor& targets,
                                  const at::Tensor& weights,
                                  double temperature) {
  require(logits.dim() == 2 && logits.sizes() == targets.sizes() && weights.dim() == 1 &&
              weights.size(0) == logits.size(0),
          "weighted cross-entropy: logits {}, targets {} and weights {} do not fit together",
          logits.sizes().vec(),
          targets.sizes().vec(),
          weights.sizes().vec());
  return WeightedRows::apply(logits.to(torch::kFloat32), targets, weights, temperature);
}

}  // namespace previt
