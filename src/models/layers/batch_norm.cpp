#include "models/layers/batch_norm.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kBatchNormEps = 1e-5;
constexpr double kMomentum = 0.1;

// Autograd has saved the averages, though backward does not read them. variable_data() changes them
// without a new version, which backward would refuse.
void keep_finite(const at::Tensor& average, const at::Tensor& before) {
  average.variable_data().copy_(torch::where(average.isfinite(), average, before));
}

// Of the rows of all ranks.
struct Moments {
  at::Tensor mean, variance;  // [D]; biased
  double rows = 0;
};

// Each rank's rows, mean and squared deviations from it are put together (Chan et al. 1983), which
// loses no digits as the difference of two large moments would.
Moments moments_of_all(const at::Tensor& x, Communicator& all) {
  const int64_t dim = x.size(1);
  const at::Tensor own_mean = x.mean(0);
  const at::Tensor own = torch::cat({torch::full({1}, static_cast<double>(x.size(0)), x.options()),
                                     own_mean,
                                     (x - own_mean).square().sum(0)});
  const at::Tensor parts = all.gather(own.unsqueeze(0));
  const at::Tensor rows = parts.narrow(1, 0, 1), means = parts.narrow(1, 1, dim);
  const at::Tensor total = rows.sum();
  const at::Tensor mean = (rows * means).sum(0) / total;
  const at::Tensor squares =
      parts.narrow(1, 1 + dim, dim).sum(0) + (rows * (means - mean).square()).sum(0);
  return {mean, squares / total, total.item<double>()};
}

// (x - mean) / deviation over the rows of all ranks, with the gradient through both.
struct NormalizeByAll : torch::autograd::Function<NormalizeByAll> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& mean,
                            const at::Tensor& variance,
                            double rows,
                            Communicator* all) {
    const at::Tensor scale = (variance + kBatchNormEps).rsqrt();
    const at::Tensor normed = (x - mean) * scale;
    ctx->save_for_backward({normed, scale});
    ctx->saved_data["rows"] = rows;
    ctx->saved_data["communicator"] = reinterpret_cast<int64_t>(all);
    return normed;
  }

  // dx = scale (dy - mean of dy - y · mean of dy y), with means over the rows of all ranks.
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &normed = saved[0], &scale = saved[1], &dy = grads[0];
    auto* all = reinterpret_cast<Communicator*>(ctx->saved_data["communicator"].toInt());
    const at::Tensor sums = torch::stack({dy.sum(0), (dy * normed).sum(0)});
    all->sum(sums);
    const at::Tensor means = sums / ctx->saved_data["rows"].toDouble();
    return {scale * (dy - means[0] - normed * means[1]), {}, {}, {}, {}};
  }
};

}  // namespace

BatchNorm::BatchNorm(int64_t dim) {
  weight_ = register_parameter("weight", torch::ones({dim}));
  bias_ = register_parameter("bias", torch::zeros({dim}));
  running_mean_ = register_buffer("running_mean", torch::zeros({dim}));
  running_var_ = register_buffer("running_var", torch::ones({dim}));
  num_batches_tracked_ =
      register_buffer("num_batches_tracked", torch::zeros({}, torch::dtype(torch::kInt64)));
}

at::Tensor BatchNorm::forward(const at::Tensor& x, Communicator& all) {
  if (!is_training()) return normalized(x);
  const at::Tensor mean = running_mean_.clone(), var = running_var_.clone();
  num_batches_tracked_.add_(1);
  const at::Tensor y = all.alone() ? normalized(x) : normalized_by_all(x, all);
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

at::Tensor BatchNorm::normalized_by_all(const at::Tensor& x, Communicator& all) {
  const at::Tensor values = x.to(torch::kFloat32);
  const Moments found = moments_of_all(values.detach(), all);
  running_mean_.lerp_(found.mean, kMomentum);
  running_var_.lerp_(found.variance * (found.rows / (found.rows - 1)), kMomentum);
  const at::Tensor normed =
      NormalizeByAll::apply(values, found.mean, found.variance, found.rows, &all);
  return normed * weight_ + bias_;
}

}  // namespace previt
