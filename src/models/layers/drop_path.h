#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

namespace previt {

/// Stochastic depth (Huang et al. 2016), as the factors of a residual branch: [batch, 1, 1]
/// float32, 0 with probability `rate` and else 1 / (1 - rate). Draws from the device's default
/// generator.
at::Tensor drop_path_factors(int64_t batch, double rate, at::Device device);

/// What stochastic depth leaves of a residual branch.
struct DropPath {
  at::Tensor factors;  ///< see drop_path_factors; undefined: nothing is dropped
  at::Tensor kept;     ///< images to compute the branch for, [K] int64; undefined: all
  double scale = 1;    ///< the factor of these images
};

/// Draws for x [B, ...]. `kept` is set if it pays to compute the branch for these images alone: on
/// the CPU, unless all are dropped.
DropPath draw_drop_path(const at::Tensor& x, double rate);

/// How the rate of a block follows from its depth: rising from 0, or the same for all.
enum class DropPathMode { linear, uniform };
constexpr auto enum_names(DropPathMode) { return std::array{"linear", "uniform"}; }

/// Rate of every block; linear rises from 0 to `rate` over the depth.
std::vector<double> drop_path_rates(double rate, DropPathMode mode, int64_t depth);

}  // namespace previt
