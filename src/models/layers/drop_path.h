#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace previt {

/// Stochastic depth: zeroes the branch of each sample (first dimension) with probability `rate` and
/// divides the others by 1 - rate. Draws from torch's default generator; rate 0 draws nothing.
at::Tensor drop_path(const at::Tensor& branch, double rate);

/// Rate of every block: "linear" rises from 0 to `rate` over the depth, "uniform" is the same for
/// all.
std::vector<double> drop_path_rates(double rate, const std::string& mode, int64_t depth);

}  // namespace previt
