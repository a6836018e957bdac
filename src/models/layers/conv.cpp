#include "models/layers/conv.h"

#include <torch/types.h>

#include "models/kernels/precision.h"
#include "models/layers/init.h"

namespace previt {

Conv::Conv(int64_t in, int64_t out, int64_t kernel, int64_t stride) : stride_(stride) {
  weight = register_parameter("weight", torch::zeros({out, in, kernel, kernel}));
  bias = register_parameter("bias", torch::zeros({out}));
  conv_default_(weight, bias);
}

at::Tensor Conv::forward(const at::Tensor& x) const {
  const at::ScalarType type = compute_type();
  return torch::conv2d(
      x.to(type), weight.to(type), bias.to(type), stride_, (weight.size(2) - stride_) / 2);
}

}  // namespace previt
