#include "models/layers/layer_scale.h"

namespace previt {

LayerScale::LayerScale(int64_t dim, double initial) : initial_(initial) {
  gamma = register_parameter("gamma", torch::full({dim}, initial));
}

void LayerScale::reset() {
  torch::NoGradGuard no_grad;
  gamma.fill_(initial_);
}

}  // namespace previt
