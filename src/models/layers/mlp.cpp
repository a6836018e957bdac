#include "models/layers/mlp.h"

#include <cmath>

#include "models/kernels/kernels.h"
#include "models/layers/linear.h"

namespace previt {

GeluMlp::GeluMlp(int64_t dim, int64_t hidden) {
  fc1_ = register_module("fc1", std::make_shared<Linear>(dim, hidden));
  fc2_ = register_module("fc2", std::make_shared<Linear>(hidden, dim));
}

at::Tensor GeluMlp::forward(const at::Tensor& x) const {
  return fc2_->forward(fc1_->forward_gelu(x));
}

SwiGluMlp::SwiGluMlp(int64_t dim, int64_t hidden) {
  w12_ = register_module("w12", std::make_shared<Linear>(dim, 2 * hidden));
  w3_ = register_module("w3", std::make_shared<Linear>(hidden, dim));
}

at::Tensor SwiGluMlp::forward(const at::Tensor& x) const {
  const auto halves = w12_->forward(x).chunk(2, -1);
  return w3_->forward(torch::silu(halves[0]) * halves[1]);
}

int64_t mlp_hidden_width(MlpKind kind, int64_t dim, double ratio) {
  const auto full = static_cast<int64_t>(static_cast<double>(dim) * ratio);
  return kind == MlpKind::swiglu ? (full * 2 / 3 + 7) / 8 * 8 : full;
}

double mlp_ratio_of(int64_t hidden, int64_t dim) {
  const auto wanted = static_cast<double>(hidden), width = static_cast<double>(dim);
  double ratio = wanted / width;
  while (std::trunc(width * ratio) < wanted) ratio = std::nextafter(ratio, wanted);
  return ratio;
}

std::shared_ptr<Mlp> make_mlp(MlpKind kind, int64_t dim, double ratio) {
  const int64_t hidden = mlp_hidden_width(kind, dim, ratio);
  if (kind == MlpKind::swiglu) return std::make_shared<SwiGluMlp>(dim, hidden);
  return std::make_shared<GeluMlp>(dim, hidden);
}

}  // namespace previt
