#include "finetune/probes/linear_head.h"

#include <torch/types.h>

namespace previt {
namespace {

constexpr double kHeadNormEps = 1e-6;
constexpr double kNormMomentum = 0.1;
constexpr double kInitStd = 0.01;

}  // namespace

LinearHeadImpl::LinearHeadImpl(const LinearHeadOptions& options) : batch_norm_(options.batch_norm) {
  weight = register_parameter("weight", kInitStd * torch::randn({options.classes, options.width}));
  bias = register_parameter("bias", torch::zeros({options.classes}));
  if (!batch_norm_) return;
  running_mean = register_buffer("running_mean", torch::zeros({options.width}));
  running_var = register_buffer("running_var", torch::ones({options.width}));
  num_batches_tracked =
      register_buffer("num_batches_tracked", torch::zeros({}, torch::dtype(torch::kInt64)));
}

at::Tensor LinearHeadImpl::forward(const at::Tensor& features) {
  at::Tensor x = features.to(torch::kFloat32);
  if (batch_norm_) {
    if (is_training()) num_batches_tracked.add_(1);
    x = torch::batch_norm(x,
                          {},
                          {},
                          running_mean,
                          running_var,
                          is_training(),
                          kNormMomentum,
                          kHeadNormEps,
                          /*cudnn_enabled=*/false);
  }
  return torch::linear(x, weight, bias);
}

}  // namespace previt
