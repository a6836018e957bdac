#include "models/layers/batch_norm.h"

#include <torch/types.h>

namespace previt {
namespace {

constexpr double kBatchNormEps = 1e-5;
constexpr double kMomentum = 0.1;

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
  if (is_training()) num_batches_tracked_.add_(1);
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
