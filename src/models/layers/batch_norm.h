#pragma once

#include <torch/nn/module.h>

#include <cstdint>

#include "communicator.h"

namespace previt {

/// BatchNorm over the rows of [R, D] with PyTorch's defaults (eps 1e-5, momentum 0.1) and names:
/// weight, bias, running_mean, running_var, num_batches_tracked. Float32 in and out. In training it
/// normalises by the batch's biased variance and stores the unbiased one. It replaces
/// torch::nn::BatchNorm1d, which refuses a single row, keeps rows that are not finite in its
/// averages for good, and uses cuDNN on a GPU.
///
/// With several ranks, mean and variance are those of all ranks' rows (as in SyncBatchNorm), and so
/// is the gradient that flows through them. Backward is then collective too.
class BatchNorm : public torch::nn::Module {
 public:
  explicit BatchNorm(int64_t dim);
  at::Tensor forward(const at::Tensor& x, Communicator& all = world());

 private:
  at::Tensor normalized(const at::Tensor& x);
  at::Tensor normalized_by_all(const at::Tensor& x, Communicator& all);
  at::Tensor weight_, bias_, running_mean_, running_var_, num_batches_tracked_;
};

}  // namespace previt
