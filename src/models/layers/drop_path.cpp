#include "models/layers/drop_path.h"

#include <ATen/Context.h>
#include <torch/types.h>

#include "models/kernels/precision.h"

namespace previt {

at::Tensor drop_path_factors(int64_t batch, double rate, at::Device device) {
  const double keep = 1 - rate;
  // The default generator is named because GCC warns that one left out may be uninitialised.
  const at::Generator& generator = at::globalContext().defaultGenerator(device);
  const at::Tensor kept = torch::empty({batch, 1, 1}, device).bernoulli_(keep, generator);
  return keep > 0 ? kept.div_(keep) : kept;
}

DropPath draw_drop_path(const at::Tensor& x, double rate) {
  DropPath drawn{drop_path_factors(x.size(0), rate, x.device()), {}, 1 / (1 - rate)};
  // On a GPU, nonzero() would wait for the device.
  if (!use_cpu_kernels(x)) return drawn;
  const at::Tensor kept = drawn.factors.flatten().nonzero().flatten();
  if (kept.numel() > 0) drawn.kept = kept;
  return drawn;
}

std::vector<double> drop_path_rates(double rate, DropPathMode mode, int64_t depth) {
  std::vector<double> rates(static_cast<size_t>(depth), rate);
  if (mode == DropPathMode::uniform) return rates;
  for (int64_t i = 0; i < depth; ++i) {
    rates[static_cast<size_t>(i)] =
        depth > 1 ? rate * static_cast<double>(i) / static_cast<double>(depth - 1) : 0;
  }
  return rates;
}

}  // namespace previt
