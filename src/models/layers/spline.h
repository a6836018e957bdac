#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace previt {

/// The interpolating cubic spline with not-a-knot ends through values at `points` (increasing), as
/// a matrix: values at `at` = matrix · values at points. float64 [at.size(), points.size()]. Fewer
/// than four points give the polynomial through them. `at` must lie within the points.
at::Tensor spline_matrix(const std::vector<double>& points, const std::vector<double>& at);

}  // namespace previt
