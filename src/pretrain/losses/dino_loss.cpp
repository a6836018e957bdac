#include "pretrain/losses/dino_loss.h"

#include <torch/csrc/autograd/custom_function.h>

#include "across_ranks.h"
#include "error.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// With q the targets of the teacher's views and l the student's log-probabilities,
//   Σ over pairs of q · l = (Σ q) · (Σ l) - Σ over the teacher's views of q · l of the same view.
struct CrossViews : torch::autograd::Function<CrossViews> {
  // logits float32 [V, B, K], targets float32 [G, B, K].
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& logits,
                            const at::Tensor& targets,
                            double temperature) {
    const int64_t views = logits.size(0), teacher_views = targets.size(0);
    const at::Tensor log_p = at::log_softmax(logits * (1 / temperature), -1);
    const at::Tensor total = targets.sum(0);
    const at::Tensor of_all = (total * log_p.sum(0)).sum();
    const at::Tensor of_same = (targets * log_p.narrow(0, 0, teacher_views)).sum();
    const auto terms = static_cast<double>(teacher_views * (views - 1) * logits.size(1));
    ctx->save_for_backward({log_p, targets, total});
    ctx->saved_data["scale"] = 1 / (temperature * terms);
    return (of_same - of_all) / terms;
  }

  // The gradient of view v is (n p - t) times the scale, where t sums the n targets that the view
  // is paired with.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &log_p = saved[0], &targets = saved[1], &total = saved[2];
    const int64_t teacher_views = targets.size(0);
    at::Tensor gradient = log_p.exp();
    at::Tensor seen = gradient.narrow(0, 0, teacher_views);
    at::Tensor others = gradient.narrow(0, teacher_views, gradient.size(0) - teacher_views);
    // A factor of 1 is left out, as each product is a pass over all logits of these views.
    if (teacher_views > 2) seen.mul_(teacher_views - 1);
    if (teacher_views == 1) seen.zero_();
    if (teacher_views > 1) others.mul_(teacher_views);
    gradient.sub_(total);
    seen.add_(targets);
    gradient.mul_(grads[0] * ctx->saved_data["scale"].toDouble());
    return {gradient, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor centered_softmax(const at::Tensor& logits,
                            const at::Tensor& center,
                            double temperature) {
  return logits.to(torch::kFloat32).sub(center).mul_(1 / temperature).softmax(-1);
}

at::Tensor cross_view_loss(const at::Tensor& logits,
                           const at::Tensor& targets,
                           int64_t teacher_views,
                           double temperature) {
  const int64_t images = targets.size(0) / teacher_views, prototypes = targets.size(1);
  const int64_t views = logits.size(0) / images;
  require(targets.size(0) == images * teacher_views && logits.size(0) == images * views &&
              logits.size(1) == prototypes && views >= teacher_views && views > 1,
          "dino loss: student {} and teacher {} with {} views do not fit together",
          logits.sizes().vec(),
          targets.sizes().vec(),
          teacher_views);
  return CrossViews::apply(logits.to(torch::kFloat32).view({views, images, prototypes}),
                           targets.view({teacher_views, images, prototypes}),
                           temperature);
}

at::Tensor target_entropy(const at::Tensor& targets) {
  // entr is -q ln q, with 0 at 0.
  return torch::special_entr(targets).sum() / targets.size(0);
}

void RowMean::add(const at::Tensor& rows) {
  const at::Tensor sum = rows.detach().sum(0, /*keepdim=*/true, torch::kFloat32);
  sum_ = rows_ == 0 ? sum : sum_ + sum;
  rows_ += rows.size(0);
}

void RowMean::reset() { *this = {}; }

at::Tensor RowMean::mean(Communicator& all) const {
  if (all.alone()) return sum_ / rows_;
  const at::Tensor sum = sum_.clone();
  all.sum(sum);
  return sum / total(rows_, all);
}

}  // namespace previt
