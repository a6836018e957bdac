#include "pretrain/train/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "utf8.h"

namespace previt {
namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr double kWidth = 640, kHeight = 260;
constexpr double kLeft = 62, kRight = 14, kTop = 12, kBottom = 36;
constexpr size_t kMostPoints = 300;

/// Maps data to coordinates of the picture.
struct Frame {
  double x_low, x_high, y_low, y_high;
  double x(double value) const {
    return kLeft + (value - x_low) / (x_high - x_low) * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    return kHeight - kBottom - (value - y_low) / (y_high - y_low) * (kHeight - kTop - kBottom);
  }
};

/// Replaces equal runs of points by their means if there are more points than a picture shows.
Points thinned(const Points& points) {
  const size_t run = (points.size() + kMostPoints - 1) / kMostPoints;
  if (run <= 1) return points;
  Points thin;
  for (size_t first = 0; first < points.size(); first += run) {
    const size_t last = std::min(first + run, points.size());
    double sum = 0;
    for (size_t i = first; i < last; ++i) sum += points[i].second;
    thin.emplace_back(points[last - 1].first, sum / static_cast<double>(last - first));
  }
  return thin;
}

Points finite(const Points& points) {
  Points kept;
  for (const auto& point : points) {
    if (std::isfinite(point.second)) kept.push_back(point);
  }
  return kept;
}

Frame frame_of(const Points& points) {
  Frame frame{0, points.back().first, points.front().second, points.front().second};
  for (const auto& [x, y] : points) {
    frame.y_low = std::min(frame.y_low, y);
    frame.y_high = std::max(frame.y_high, y);
  }
  // A flat line still needs a height, and a curve looks better off the frame.
  const double spread = frame.y_high - frame.y_low;
  const double margin = spread > 0 ? 0.06 * spread : std::max(std::abs(frame.y_high), 1.0) * 0.5;
  const bool positive = frame.y_low >= 0;
  frame.y_low -= margin;
  frame.y_high += margin;
  if (positive) frame.y_low = std::max(frame.y_low, 0.0);
  if (frame.x_high <= frame.x_low) frame.x_high = frame.x_low + 1;
  return frame;
}

std::string number_text(double value) { return fmt::format("{:.4g}", value); }

std::string axes(const Frame& frame, const std::string& x_label) {
  std::string svg;
  for (const double tick : nice_ticks(frame.y_low, frame.y_high, 5)) {
    const double y = frame.y(tick);
    svg += fmt::format(R"svg(<path d="M{:.1f} {:.1f}H{:.1f}" stroke="var(--grid)"/>)svg",
                       kLeft,
                       y,
                       kWidth - kRight);
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)",
                       kLeft - 8,
                       y + 4,
                       number_text(tick));
  }
  const double base = kHeight - kBottom;
  for (const double tick : nice_ticks(frame.x_low, frame.x_high, 8)) {
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                       frame.x(tick),
                       base + 16,
                       number_text(tick));
  }
  svg += fmt::format(R"svg(<path d="M{:.1f} {:.1f}H{:.1f}" stroke="var(--muted)"/>)svg",
                     kLeft,
                     base,
                     kWidth - kRight);
  svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)",
                     kWidth - kRight,
                     kHeight - 4,
                     escape_html(x_label));
  return svg;
}

// A point without a neighbour gets a dot: no line shows it.
std::string curve(const Frame& frame, const Points& points) {
  std::string path, dots;
  const auto there = [&](size_t i) { return i < points.size() && std::isfinite(points[i].second); };
  for (size_t i = 0; i < points.size(); ++i) {
    if (!there(i)) continue;
    const double x = frame.x(points[i].first), y = frame.y(points[i].second);
    const bool pen_down = i > 0 && there(i - 1);
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
    if (pen_down || there(i + 1)) continue;
    dots +=
        fmt::format(R"svg(<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="var(--line)"/>)svg", x, y);
  }
  return fmt::format(
      R"svg(<path d="{}" fill="none" stroke="var(--line)" stroke-width="2" stroke-linejoin="round"/>{})svg",
      path,
      dots);
}

/// A strip of the full height around each point, which shows its value.
std::string hover_strips(const Frame& frame, const Points& points, const Chart& chart) {
  std::string svg;
  for (size_t i = 0; i < points.size(); ++i) {
    const double x = frame.x(points[i].first);
    const double left = i == 0 ? kLeft : (x + frame.x(points[i - 1].first)) / 2;
    const double right =
        i + 1 == points.size() ? kWidth - kRight : (x + frame.x(points[i + 1].first)) / 2;
    svg += fmt::format(R"(<g class="hit"><rect x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>)"
                       R"(<circle cx="{:.1f}" cy="{:.1f}" r="4"/><title>{} {}: {} {}</title></g>)",
                       left,
                       kTop,
                       std::max(right - left, 0.1),
                       kHeight - kTop - kBottom,
                       x,
                       frame.y(points[i].second),
                       escape_html(chart.x_label),
                       number_text(points[i].first),
                       escape_html(chart.title),
                       number_text(points[i].second));
  }
  return svg;
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : utf8_or_escaped(text)) {
    switch (c) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::vector<double> nice_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  // By whole multiples: adding up steps would print 0.30000000000000004.
  for (auto i = static_cast<int64_t>(std::ceil(low / step - 1e-9));
       static_cast<double>(i) * step <= high + 1e-9 * step;
       ++i) {
    ticks.push_back(static_cast<double>(i) * step);
  }
  return ticks;
}

std::string chart_svg(const Chart& chart) {
  const Points points = thinned(chart.points);
  const Points visible = finite(points);
  if (visible.empty()) return "<p class=\"muted\">no finite value</p>";
  const Frame frame = frame_of(visible);
  return fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>)",
                     kWidth,
                     kHeight,
                     escape_html(chart.title),
                     axes(frame, chart.x_label),
                     curve(frame, points),
                     hover_strips(frame, visible, chart));
}

}  // namespace previt
