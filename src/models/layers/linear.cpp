#include "models/layers/linear.h"

#include "models/kernels/kernels.h"
#include "models/layers/init.h"

namespace previt {

Linear::Linear(int64_t in, int64_t out, bool with_bias) {
  weight = register_parameter("weight", WithoutWeights::zeros({out, in}));
  if (with_bias) bias = register_parameter("bias", torch::zeros({out}));
}

at::Tensor Linear::forward(const at::Tensor& x) const { return forward(x, bias); }

at::Tensor Linear::forward(const at::Tensor& x, const at::Tensor& other_bias) const {
  return linear(x, weight, other_bias, &copy_);
}

at::Tensor Linear::forward_gelu(const at::Tensor& x) const {
  return linear_gelu(x, weight, bias, &copy_);
}

at::Tensor Linear::weight_in_compute_type() const { return in_compute_type(weight, &copy_); }

}  // namespace previt
