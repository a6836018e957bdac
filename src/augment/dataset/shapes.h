#pragma once

#include <string>
#include <vector>

namespace previt {

struct Point {
  double x = 0, y = 0;
};

/// Closed outlines, filled by the even-odd rule (a ring is two circles).
using Outline = std::vector<std::vector<Point>>;

/// The names of the classes: circle, square, triangle, star, cross, ring, crescent, heart, hexagon,
/// arrow.
const std::vector<std::string>& shape_names();

/// The outline of class `shape`, around the origin and inside the unit circle.
const Outline& shape_outline(size_t shape);

/// The outline turned by `angle` (radians), scaled, then moved to (x, y).
Outline placed(const Outline& outline, double angle, double scale, double x, double y);

/// Adds to `coverage` (width · height values, row by row) the share of each pixel that lies inside.
/// Returns the rows [first, last) that were touched.
std::pair<int, int> add_coverage(const Outline& outline,
                                 int width,
                                 int height,
                                 std::vector<float>& coverage);

}  // namespace previt
