#include "pretrain/train/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "options.h"
#include "utf8.h"

namespace previt {
namespace {

constexpr double kWidth = 640, kHeight = 260;
constexpr double kLeft = 62, kRight = 14, kTop = 12, kBottom = 36;
constexpr size_t kMostPoints = 300;
constexpr size_t kColours = 8;
// Curves are told apart without colours too. With the colours they make 40 looks.
constexpr std::array kDashes = {"", "7 4", "2 3", "12 4 2 4", "16 5"};

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

// Around all points of all curves.
Frame frame_of(const std::vector<Curve>& curves) {
  Frame frame{0, 0, kInfinity, -kInfinity};
  for (const Curve& curve : curves) {
    for (const Points* points : {&curve.points, &curve.low, &curve.high}) {
      for (const auto& [x, y] : finite(*points)) {
        frame.x_high = std::max(frame.x_high, x);
        frame.y_low = std::min(frame.y_low, y);
        frame.y_high = std::max(frame.y_high, y);
      }
    }
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

std::string colour(const Curve& curve) {
  return curve.name.empty() ? "var(--line)" : fmt::format("var(--line-{})", curve.look % kColours);
}

std::string stroke(const Curve& curve) {
  const size_t dash = (curve.look + curve.look / kColours) % kDashes.size();
  return fmt::format(R"(fill="none" stroke="{}" stroke-width="2" stroke-linejoin="round"{})",
                     colour(curve),
                     curve.name.empty() || dash == 0
                         ? ""
                         : fmt::format(R"( stroke-dasharray="{}")", kDashes[dash]));
}

// A point without a neighbour gets a dot: no line shows it.
std::string line_of(const Frame& frame, const Curve& curve) {
  const Points& points = curve.points;
  std::string path, dots;
  const auto there = [&](size_t i) { return i < points.size() && std::isfinite(points[i].second); };
  for (size_t i = 0; i < points.size(); ++i) {
    if (!there(i)) continue;
    const double x = frame.x(points[i].first), y = frame.y(points[i].second);
    const bool pen_down = i > 0 && there(i - 1);
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
    if (pen_down || there(i + 1)) continue;
    dots += fmt::format(
        R"svg(<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>)svg", x, y, colour(curve));
  }
  return fmt::format(R"svg(<path d="{}" {}/>{})svg", path, stroke(curve), dots);
}

std::string band_of(const Frame& frame, const Curve& curve) {
  std::string path;
  const auto add = [&](const std::pair<double, double>& point) {
    path += fmt::format(
        "{}{:.1f} {:.1f}", path.empty() ? "M" : "L", frame.x(point.first), frame.y(point.second));
  };
  const Points low = finite(curve.low), high = finite(curve.high);
  std::for_each(low.begin(), low.end(), add);
  std::for_each(high.rbegin(), high.rend(), add);
  if (path.empty()) return "";
  return fmt::format(R"svg(<path d="{}Z" fill="{}" fill-opacity="0.18"/>)svg", path, colour(curve));
}

std::string point_title(const Chart& chart, const std::pair<double, double>& point) {
  return fmt::format("{} {}: {} {}",
                     escape_html(chart.x_label),
                     number_text(point.first),
                     escape_html(chart.title),
                     number_text(point.second));
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
                       R"(<circle cx="{:.1f}" cy="{:.1f}" r="4"/><title>{}</title></g>)",
                       left,
                       kTop,
                       std::max(right - left, 0.1),
                       kHeight - kTop - kBottom,
                       x,
                       frame.y(points[i].second),
                       point_title(chart, points[i]));
  }
  return svg;
}

/// A spot on each point of a named curve, which shows its value. Strips of several curves would
/// hide one another.
std::string hover_spots(const Frame& frame, const Curve& curve, const Chart& chart) {
  std::string svg;
  for (const auto& point : finite(curve.points)) {
    svg += fmt::format(
        R"(<g class="hit"><circle cx="{:.1f}" cy="{:.1f}" r="6"/><title>{}, {}</title></g>)",
        frame.x(point.first),
        frame.y(point.second),
        escape_html(curve.name),
        point_title(chart, point));
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
  if (!(step > 0) || !std::isfinite(step)) return ticks;  // beyond what a double can divide
  // By whole multiples: adding up steps would print 0.30000000000000004.
  for (auto i = static_cast<int64_t>(std::ceil(low / step - 1e-9));
       static_cast<double>(i) * step <= high + 1e-9 * step;
       ++i) {
    ticks.push_back(static_cast<double>(i) * step);
  }
  return ticks;
}

std::string chart_svg(const Chart& chart) {
  std::vector<Curve> curves = chart.curves;
  bool visible = false;
  for (Curve& curve : curves) {
    for (Points* points : {&curve.points, &curve.low, &curve.high}) *points = thinned(*points);
    visible = visible || !finite(curve.points).empty();
  }
  if (!visible) return "<p class=\"muted\">no finite value</p>";
  const Frame frame = frame_of(curves);
  std::string bands, lines, hover;
  for (const Curve& curve : curves) {
    bands += band_of(frame, curve);
    lines += line_of(frame, curve);
    hover += curve.name.empty() ? hover_strips(frame, finite(curve.points), chart)
                                : hover_spots(frame, curve, chart);
  }
  return fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}</svg>)",
                     kWidth,
                     kHeight,
                     escape_html(chart.title),
                     axes(frame, chart.x_label),
                     bands,
                     lines,
                     hover);
}

std::string legend_html(const Chart& chart) {
  std::string html;
  for (const Curve& curve : chart.curves) {
    if (curve.name.empty()) continue;
    html +=
        fmt::format(R"svg(<span><svg viewBox="0 0 36 10"><path d="M0 5H36" {}/></svg>{}</span>)svg",
                    stroke(curve),
                    escape_html(curve.name));
  }
  return html.empty() ? "" : fmt::format("<p class=\"legend\">{}</p>", html);
}

}  // namespace previt
