#include "models/layers/batch_norm.h"

#include <torch/types.h>

namespace previt {
namespace {

constexpr double kBatchNormEps = 1e-5;
constexpr double kMomentum = 0.1;

// Autograd has saved the averages, though backward does not read them. variable_data() changes them
// without a new version, which backward would refuse.
void keep_finite(const at::Tensor& average, const at::Tensor& before) {
  average.variable_data().copy_(torch::where(average.isfinite(), average, before));
}

}  // namespace

BatchNorm::BatchNorm(int64_t dim) {
  weight_ = register_parameter("weight", torch::ones({dim}));
  bias_ = register_parameter("bias", torch::zeros({dim}));
  running_mean_ = register_buffer("running_mean", torch::zeros({dim}));
  running_var_ = register_buffer("running_var", torch::ones({dim}));
  num_batches_tracked_ =
      register_buffer("num_batches_tracked", torch::zeros({}, torch::dtype(torch::kInt64)));
}

at::Tensor BatchNorm::forward(const at::Tensor& x) {
  if (!is_training()) return normalized(x);
  const at::Tensor mean = running_mean_.clone(), var = running_var_.clone();
  num_batches_tracked_.add_(1);
  const at::Tensor y = normalized(x);
  // A step with rows that are not finite is left out, but averages would keep them for good.
  keep_finite(running_mean_, mean);
  keep_finite(running_var_, var);
  return y;
}

at::Tensor BatchNorm::normalized(const at::Tensor& x) {
  return torch::batch_norm(x.to(torch::kFloat32),
                           weight_,
                           bias_,
                           running_mean_,
                           running_var_,
                           is_training(),
                           kMomentum,
                           kBatchNormEps,
                           /*cudnn_enabled=*/false);
}

}  // namespace previt
