#include "models/layers/spline.h"

#include <torch/types.h>

#include <algorithm>

namespace previt {
namespace {

// Knots of the B-spline basis of `degree` on the points: both ends repeated, and every inner point
// but the second and the second last (so that there are as many basis functions as points).
std::vector<double> not_a_knot(const std::vector<double>& points, size_t degree) {
  std::vector<double> knots(degree + 1, points.front());
  for (size_t i = 2; i + 2 < points.size(); ++i) knots.push_back(points[i]);
  knots.insert(knots.end(), degree + 1, points.back());
  return knots;
}

// All basis functions at x, by the Cox-de Boor recursion.
std::vector<double> basis(const std::vector<double>& knots, size_t degree, double x) {
  const size_t count = knots.size() - degree - 1;
  std::vector<double> b(knots.size() - 1, 0.0);
  const auto above = std::upper_bound(knots.begin() + static_cast<std::ptrdiff_t>(degree),
                                      knots.begin() + static_cast<std::ptrdiff_t>(count),
                                      x);
  b[static_cast<size_t>(above - knots.begin()) - 1] = 1;
  for (size_t d = 1; d <= degree; ++d) {
    for (size_t i = 0; i + d + 1 < knots.size(); ++i) {
      const double left = knots[i + d] - knots[i], right = knots[i + d + 1] - knots[i + 1];
      const double rising = left > 0 ? (x - knots[i]) / left * b[i] : 0;
      const double falling = right > 0 ? (knots[i + d + 1] - x) / right * b[i + 1] : 0;
      b[i] = rising + falling;
    }
  }
  b.resize(count);
  return b;
}

at::Tensor basis_matrix(const std::vector<double>& knots,
                        size_t degree,
                        const std::vector<double>& at) {
  std::vector<at::Tensor> rows;
  for (const double x : at) rows.push_back(torch::tensor(basis(knots, degree, x), torch::kDouble));
  return torch::stack(rows);
}

}  // namespace

at::Tensor spline_matrix(const std::vector<double>& points, const std::vector<double>& at) {
  const size_t degree = std::min<size_t>(3, points.size() - 1);
  const std::vector<double> knots = not_a_knot(points, degree);
  // The X for which X · (basis at the points) = basis at `at`.
  return torch::linalg_solve(
      basis_matrix(knots, degree, points), basis_matrix(knots, degree, at), false);
}

}  // namespace previt
