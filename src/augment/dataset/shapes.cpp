#include "augment/dataset/shapes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace previt {
namespace {

constexpr double kPi = std::numbers::pi;

std::vector<Point> arc(double radius, double from, double to, int count, double x = 0) {
  std::vector<Point> points;
  for (int i = 0; i < count; ++i) {
    const double angle = from + (to - from) * i / count;
    points.push_back({x + radius * std::cos(angle), radius * std::sin(angle)});
  }
  return points;
}

std::vector<Point> polygon(int corners) { return arc(1, -kPi / 2, 3 * kPi / 2, corners); }

std::vector<Point> star() {
  std::vector<Point> points;
  for (int i = 0; i < 10; ++i) {
    const double radius = i % 2 == 0 ? 1 : 0.42;
    const double angle = -kPi / 2 + kPi * i / 5;
    points.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  return points;
}

std::vector<Point> cross() {
  const double a = 0.32, b = 0.94;
  return {{-a, -b},
          {a, -b},
          {a, -a},
          {b, -a},
          {b, a},
          {a, a},
          {a, b},
          {-a, b},
          {-a, a},
          {-b, a},
          {-b, -a},
          {-a, -a}};
}

/// The unit circle without a smaller one that is shifted to the right and meets it at ±angle.
std::vector<Point> crescent() {
  const double angle = 0.9, shift = 0.45;
  const double inner = std::hypot(std::cos(angle) - shift, std::sin(angle));
  const double inner_angle = std::atan2(std::sin(angle), std::cos(angle) - shift);
  auto points = arc(1, angle, 2 * kPi - angle, 26);
  const auto back = arc(inner, 2 * kPi - inner_angle, inner_angle, 20, shift);
  points.insert(points.end(), back.begin(), back.end());
  return points;
}

/// The usual curve in sines and cosines, moved and scaled into the unit circle.
std::vector<Point> heart() {
  std::vector<Point> points;
  for (int i = 0; i < 32; ++i) {
    const double t = 2 * kPi * i / 32;
    const double y = 13 * std::cos(t) - 5 * std::cos(2 * t) - 2 * std::cos(3 * t) - std::cos(4 * t);
    points.push_back({16 * std::pow(std::sin(t), 3) / 17, -(y + 2.5) / 17});
  }
  return points;
}

std::vector<Point> arrow() {
  return {{1, 0},
          {0.15, 0.75},
          {0.15, 0.28},
          {-0.95, 0.28},
          {-0.95, -0.28},
          {0.15, -0.28},
          {0.15, -0.75}};
}

std::vector<Outline> make_outlines() {
  const auto circle = arc(1, 0, 2 * kPi, 40);
  return {{circle},
          {arc(1, kPi / 4, 9 * kPi / 4, 4)},
          {polygon(3)},
          {star()},
          {cross()},
          {circle, arc(0.58, 0, 2 * kPi, 32)},
          {crescent()},
          {heart()},
          {polygon(6)},
          {arrow()}};
}

/// Adds `weight` times the share of each pixel that [from, to) covers.
void add_span(float* row, int width, double from, double to, float weight) {
  from = std::clamp(from, 0.0, static_cast<double>(width));
  to = std::clamp(to, 0.0, static_cast<double>(width));
  if (to <= from) return;
  const int first = static_cast<int>(from), last = static_cast<int>(to);
  if (first == last) {
    row[first] += weight * static_cast<float>(to - from);
    return;
  }
  row[first] += weight * static_cast<float>(first + 1 - from);
  for (int x = first + 1; x < last; ++x) row[x] += weight;
  if (last < width) row[last] += weight * static_cast<float>(to - last);
}

/// Where the outline crosses the horizontal line at `y`, from left to right.
void crossings_at(const Outline& outline, double y, std::vector<double>& crossings) {
  crossings.clear();
  for (const auto& points : outline) {
    for (size_t i = 0; i < points.size(); ++i) {
      const Point& a = points[i];
      const Point& b = points[i + 1 == points.size() ? 0 : i + 1];
      // Half open, so that a corner on the line counts once.
      if ((a.y <= y) != (b.y <= y)) {
        crossings.push_back(a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x));
      }
    }
  }
  std::sort(crossings.begin(), crossings.end());
}

}  // namespace

const std::vector<std::string>& shape_names() {
  static const std::vector<std::string> names = {"circle",
                                                 "square",
                                                 "triangle",
                                                 "star",
                                                 "cross",
                                                 "ring",
                                                 "crescent",
                                                 "heart",
                                                 "hexagon",
                                                 "arrow"};
  return names;
}

const Outline& shape_outline(size_t shape) {
  static const std::vector<Outline> outlines = make_outlines();
  return outlines[shape];
}

Outline placed(const Outline& outline, double angle, double scale, double x, double y) {
  const double c = scale * std::cos(angle), s = scale * std::sin(angle);
  Outline moved = outline;
  for (auto& points : moved) {
    for (auto& p : points) p = {x + c * p.x - s * p.y, y + s * p.x + c * p.y};
  }
  return moved;
}

std::pair<int, int> add_coverage(const Outline& outline,
                                 int width,
                                 int height,
                                 std::vector<float>& coverage) {
  double top = height, bottom = 0;
  for (const auto& points : outline) {
    for (const auto& p : points) {
      top = std::min(top, p.y);
      bottom = std::max(bottom, p.y);
    }
  }
  const int first = std::clamp(static_cast<int>(std::floor(top)), 0, height);
  const int last = std::clamp(static_cast<int>(std::ceil(bottom)), first, height);
  constexpr int kLines = 4;  // sampled per row; along a row the coverage is exact
  std::vector<double> crossings;
  for (int line = first * kLines; line < last * kLines; ++line) {
    crossings_at(outline, (line + 0.5) / kLines, crossings);
    float* row = coverage.data() + static_cast<size_t>(line / kLines) * width;
    for (size_t i = 0; i + 1 < crossings.size(); i += 2) {
      add_span(row, width, crossings[i], crossings[i + 1], 1.0f / kLines);
    }
  }
  return {first, last};
}

}  // namespace previt
