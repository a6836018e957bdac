#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

namespace previt {

struct LinearHeadOptions {
  int64_t width = 768;
  int64_t classes = 1000;
  /// BatchNorm without scale and shift before the linear layer, as in MAE's probe.
  bool batch_norm = false;
};

/// The classifier of a linear probe: features [B, width] → logits [B, classes], in float32.
/// Weights start normal with a standard deviation of 0.01, as MAE's (truncated) and DINO's do.
class LinearHeadImpl : public torch::nn::Module {
 public:
  explicit LinearHeadImpl(const LinearHeadOptions& options);
  at::Tensor forward(const at::Tensor& features);

  at::Tensor weight, bias;
  at::Tensor running_mean, running_var, num_batches_tracked;  ///< with batch_norm

 private:
  bool batch_norm_;
};
TORCH_MODULE(LinearHead);

}  // namespace previt
