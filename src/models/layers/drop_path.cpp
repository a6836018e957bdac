#include "models/layers/drop_path.h"

#include <torch/types.h>

#include "error.h"

namespace previt {

at::Tensor drop_path(const at::Tensor& branch, double rate) {
  if (rate == 0) return branch;
  std::vector<int64_t> shape(static_cast<size_t>(branch.dim()), 1);
  shape[0] = branch.size(0);
  if (rate >= 1) return branch * 0;
  const double keep = 1 - rate;
  return branch * torch::empty(shape, branch.options()).bernoulli_(keep).div_(keep);
}

std::vector<double> drop_path_rates(double rate, const std::string& mode, int64_t depth) {
  require(mode == "linear" || mode == "uniform", "drop_path_mode: {} is unknown", mode);
  std::vector<double> rates(static_cast<size_t>(depth), rate);
  if (mode == "uniform") return rates;
  for (int64_t i = 0; i < depth; ++i) {
    rates[static_cast<size_t>(i)] =
        depth > 1 ? rate * static_cast<double>(i) / static_cast<double>(depth - 1) : 0;
  }
  return rates;
}

}  // namespace previt
