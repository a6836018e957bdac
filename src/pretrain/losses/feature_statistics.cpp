#include "pretrain/losses/feature_statistics.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

namespace previt {
namespace {

constexpr double kShareEps = 1e-7;  // added to each share, as in the paper
constexpr double kSumEps = 1e-12;   // against 0 / 0 where all features are 0

}  // namespace

at::Tensor spread_around(const at::Tensor& mean) {
  const torch::NoGradGuard no_grad;
  return (1 - mean.square().sum()).clamp_min(0).sqrt();
}

double effective_rank(const at::Tensor& features) {
  const torch::NoGradGuard no_grad;
  // float64, because small singular values lose half of their digits when they are squared.
  const at::Tensor x = features.detach().to(torch::kCPU, torch::kFloat64);
  // The singular values' squares are the eigenvalues of the smaller product, which is cheaper.
  const at::Tensor gram = x.size(0) < x.size(1) ? x.mm(x.t()) : x.t().mm(x);
  if (!gram.isfinite().all().item<bool>()) return std::nan("");  // LAPACK would throw
  const at::Tensor values = torch::linalg_eigvalsh(gram).clamp_min(0).sqrt();
  const at::Tensor shares = values / values.sum().clamp_min(kSumEps) + kShareEps;
  return torch::special_entr(shares).sum().exp().item<double>();
}

}  // namespace previt
