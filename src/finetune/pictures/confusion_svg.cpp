#include <torch/types.h>

#include <algorithm>

#include "error.h"
#include "finetune/scores.h"
#include "pretrain/train/chart.h"

namespace previt {
namespace {

constexpr int64_t kMostNames = 40;
constexpr double kPictureSide = 640;

std::string class_name(const std::vector<std::string>& names, int64_t index) {
  return index < static_cast<int64_t>(names.size()) ? names[static_cast<size_t>(index)]
                                                    : std::to_string(index);
}

// Where the matrix stands in the picture.
struct Layout {
  int64_t classes;
  double cell, margin;  ///< margin: room for the names, at the left and above
  bool named, counted;
};

Layout lay_out(int64_t classes, const std::vector<std::string>& names) {
  const double cell = std::clamp(kPictureSide / static_cast<double>(classes), 1.0, 48.0);
  const bool named = classes <= kMostNames;
  size_t longest = 0;
  for (int64_t i = 0; named && i < classes; ++i) {
    longest = std::max(longest, class_name(names, i).size());
  }
  return {classes, cell, named ? 7.0 * static_cast<double>(longest) + 30 : 30.0, named, cell >= 24};
}

// White to a dark blue.
std::string shade(double share) {
  const auto mix = [&](double light, double dark) {
    return std::lround(light + (dark - light) * share);
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(255, 8), mix(255, 48), mix(255, 107));
}

std::string cell_svg(const Layout& at,
                     int64_t row,
                     int64_t column,
                     int64_t count,
                     double share,
                     const std::string& title) {
  const double x = at.margin + at.cell * static_cast<double>(column);
  const double y = at.margin + at.cell * static_cast<double>(row);
  std::string svg = fmt::format(
      "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' "
      "fill='{}'><title>{}</title></rect>\n",
      x,
      y,
      at.cell,
      at.cell,
      shade(share),
      title);
  if (at.counted && count > 0) {
    svg +=
        fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle' style='fill:{}'>{}</text>\n",
                    x + at.cell / 2,
                    y + at.cell / 2 + 4,
                    share > 0.5 ? "#fff" : "#222",
                    count);
  }
  return svg;
}

std::string names_svg(const Layout& at, const std::vector<std::string>& names) {
  std::string svg;
  for (int64_t i = 0; at.named && i < at.classes; ++i) {
    const std::string name = escape_html(class_name(names, i));
    const double middle = at.margin + at.cell * (static_cast<double>(i) + 0.5);
    svg += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='end'>{}</text>\n",
                       at.margin - 6,
                       middle + 4,
                       name);
    svg += fmt::format("<text transform='translate({:.1f},{:.1f}) rotate(-90)'>{}</text>\n",
                       middle + 4,
                       at.margin - 6,
                       name);
  }
  return svg;
}

}  // namespace

std::string confusion_svg(const at::Tensor& confusion, const std::vector<std::string>& names) {
  const Layout at = lay_out(confusion.size(0), names);
  const double side = at.margin + at.cell * static_cast<double>(at.classes) + 4;
  const at::Tensor rows = confusion.sum(1).clamp_min(1);
  const auto counts = confusion.accessor<int64_t, 2>();
  const auto totals = rows.accessor<int64_t, 1>();
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{0:.0f}' "
      "viewBox='0 0 {0:.0f} {0:.0f}' font-family='sans-serif' font-size='12'>\n"
      "<rect width='100%' height='100%' fill='#fff'/>\n"
      "<rect x='{1:.1f}' y='{1:.1f}' width='{2:.1f}' height='{2:.1f}' fill='#fff' stroke='#999'/>\n"
      "<text x='{1:.1f}' y='14' fill='#666'>answer</text>\n"
      "<text transform='translate(14,{1:.1f}) rotate(-90)' text-anchor='end' "
      "fill='#666'>label</text>\n",
      side,
      at.margin,
      side - at.margin - 4);
  svg += names_svg(at, names);
  for (int64_t row = 0; row < at.classes; ++row) {
    for (int64_t column = 0; column < at.classes; ++column) {
      const int64_t count = counts[row][column];
      if (count == 0) continue;  // a thousand classes have a million cells, nearly all empty
      const double share = static_cast<double>(count) / static_cast<double>(totals[row]);
      svg += cell_svg(at,
                      row,
                      column,
                      count,
                      share,
                      fmt::format("{} → {}: {} ({:.1f} %)",
                                  escape_html(class_name(names, row)),
                                  escape_html(class_name(names, column)),
                                  count,
                                  100 * share));
    }
  }
  return svg + "</svg>\n";
}

}  // namespace previt
