#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace previt {

/// Stochastic depth, as the factors of a residual branch: [batch, 1, 1] float32, 0 with probability
/// `rate` and else 1 / (1 - rate). Draws from the default generator of the device.
at::Tensor drop_path_factors(int64_t batch, double rate, at::Device device);

/// Rate of every block: "linear" rises from 0 to `rate` over the depth, "uniform" is the same for
/// all.
std::vector<double> drop_path_rates(double rate, const std::string& mode, int64_t depth);

}  // namespace previt
