#pragma once

#include <string>
#include <utility>
#include <vector>

namespace previt {

/// A curve over the epochs. Points whose value is not finite leave a gap.
struct Chart {
  std::string title;
  std::string x_label = "epoch";
  std::vector<std::pair<double, double>> points;  ///< x rising
};

/// Inline SVG with axes, a grid and, for each point, a title that shows on hovering. Colours are
/// the CSS variables --line, --grid and --muted of the page.
std::string chart_svg(const Chart& chart);

/// Round numbers that cover [low, high] with about `count` steps.
std::vector<double> nice_ticks(double low, double high, int count);

/// The text as HTML shows it; bytes that aren't UTF-8 are escaped.
std::string escape_html(const std::string& text);

}  // namespace previt
