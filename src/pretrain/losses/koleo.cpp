#include "pretrain/losses/koleo.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "error.h"

namespace previt {
namespace {

constexpr double kKoleoEps = 1e-8;  // in the scaling, on each difference, and in the logarithm

}  // namespace

NearestRows nearest_rows(const at::Tensor& features) {
  require(features.dim() == 2 && features.size(0) >= 2,
          "koleo: needs two rows or more, not {}",
          features.sizes().vec());
  const at::Tensor x = features.to(torch::kFloat32);
  const at::Tensor rows = x / x.norm(2, -1, /*keepdim=*/true).clamp_min(kKoleoEps);
  const torch::NoGradGuard no_grad;
  const at::Tensor similarities = torch::mm(rows, rows.t());
  // No row is its own neighbour.
  similarities.fill_diagonal_(-1);
  return {rows, similarities.argmax(1)};
}

at::Tensor koleo_loss(const at::Tensor& features) {
  const auto [rows, nearest] = nearest_rows(features);
  const at::Tensor difference = rows - rows.index_select(0, nearest) + kKoleoEps;
  return -(difference.norm(2, -1) + kKoleoEps).log().mean();
}

}  // namespace previt
