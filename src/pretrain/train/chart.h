#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace previt {

using Points = std::vector<std::pair<double, double>>;  ///< x rising

/// Points whose value is not finite leave a gap.
struct Curve {
  std::string name = "";  ///< "": the only one of its chart
  Points points = {};
  Points low = {}, high = {};  ///< of the band around it, at the same x; or none
  size_t look = 0;             ///< which colour and dash a named one has
};

/// Curves over one another, on the same scale.
struct Chart {
  std::string title;
  std::string x_label = "epoch";
  std::vector<Curve> curves;
};

/// Inline SVG with axes, a grid and, for each point, a title that shows on hovering. Colours are
/// the CSS variables --line (--line-0 … of named curves), --grid and --muted of the page.
std::string chart_svg(const Chart& chart);

/// HTML that shows which named curve looks how; "" where there are none.
std::string legend_html(const Chart& chart);

/// Round numbers that cover [low, high] with about `count` steps; none where a double has no such
/// steps.
std::vector<double> nice_ticks(double low, double high, int count);

/// The text as HTML shows it; bytes that aren't UTF-8 are escaped.
std::string escape_html(const std::string& text);

}  // namespace previt
