#include "pretrain/losses/sinkhorn.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace previt {

at::Tensor sinkhorn_knopp(const at::Tensor& logits, double temperature, int64_t iterations) {
  const torch::NoGradGuard no_grad;
  at::Tensor scaled = logits.to(torch::kFloat32).mul(1 / temperature);
  // The largest value divides out again; without it exp may overflow.
  at::Tensor q = scaled.sub_(scaled.max()).exp_();
  q.div_(q.sum());
  const auto rows = static_cast<double>(q.size(0)), prototypes = static_cast<double>(q.size(1));
  for (int64_t i = 0; i < iterations; ++i) {
    q.div_(q.sum(0, /*keepdim=*/true).mul_(prototypes));
    q.div_(q.sum(1, /*keepdim=*/true).mul_(rows));
  }
  return q.mul_(rows);
}

}  // namespace previt
