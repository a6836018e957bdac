#include <ATen/ops/layer_norm.h>

#include "models/layers/kernels.h"
#include "models/layers/precision.h"

namespace previt {

at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps) {
  return at::layer_norm(x.to(at::kFloat), {x.size(-1)}, weight, bias, eps).to(compute_type());
}

}  // namespace previt
