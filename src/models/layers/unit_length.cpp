#include "models/layers/unit_length.h"

#include <torch/types.h>

namespace previt {

at::Tensor unit_length(const at::Tensor& x) {
  return x / x.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace previt
