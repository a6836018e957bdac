#include "pretrain/losses/sinkhorn.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <limits>

#include "across_ranks.h"

namespace previt {

at::Tensor sinkhorn_knopp(const at::Tensor& logits,
                          double temperature,
                          int64_t iterations,
                          Communicator& all) {
  const torch::NoGradGuard no_grad;
  at::Tensor scaled = logits.to(torch::kFloat32).mul(1 / temperature);
  // The largest value divides out again; without it exp may overflow. A rank may have no rows.
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const at::Tensor largest =
      scaled.numel() > 0 ? scaled.max() : torch::full({}, kNone, scaled.options());
  all.max(largest);
  at::Tensor q = scaled.sub_(largest).exp_();
  const at::Tensor whole = q.sum();
  all.sum(whole);
  q.div_(whole);
  const auto rows = static_cast<double>(total(q.size(0), all));
  const auto prototypes = static_cast<double>(q.size(1));
  for (int64_t i = 0; i < iterations; ++i) {
    const at::Tensor of_prototypes = q.sum(0, /*keepdim=*/true);
    all.sum(of_prototypes);
    q.div_(of_prototypes.mul_(prototypes));
    q.div_(q.sum(1, /*keepdim=*/true).mul_(rows));
  }
  return q.mul_(rows);
}

}  // namespace previt
