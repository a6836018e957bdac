#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "finetune/pictures/pca.h"
#include "pretrain/train/chart.h"

namespace previt {
namespace {

constexpr double kSide = 640, kMargin = 36, kLegendRow = 18;
constexpr int64_t kListedNames = 34;  // in the list beside the points

// Hues as far apart as the classes allow, in two brightnesses.
std::string class_color(int64_t label, int64_t classes) {
  if (label < 0) return "#999";
  const double hue = 360.0 * static_cast<double>(label) / static_cast<double>(classes);
  return fmt::format("hsl({:.0f},70%,{}%)", hue, label % 2 == 0 ? 42 : 58);
}

std::string legend(const std::vector<std::string>& names, int64_t classes) {
  std::string svg;
  const int64_t shown = std::min(static_cast<int64_t>(names.size()), kListedNames);
  for (int64_t i = 0; i < shown; ++i) {
    const double y = kMargin + kLegendRow * static_cast<double>(i);
    svg += fmt::format(
        "<circle cx='{0:.0f}' cy='{1:.1f}' r='5' fill='{2}'/>"
        "<text x='{3:.0f}' y='{4:.1f}'>{5}</text>\n",
        kSide + 20,
        y,
        class_color(i, classes),
        kSide + 32,
        y + 4,
        escape_html(names[static_cast<size_t>(i)]));
  }
  return svg;
}

}  // namespace

std::string scatter_svg(const at::Tensor& points,
                        const at::Tensor& labels,
                        const std::vector<std::string>& class_names,
                        const std::string& title) {
  require(points.dim() == 2 && points.size(1) == 2 && points.size(0) == labels.size(0),
          "a scatter plot needs points [N, 2] and N labels");
  const at::Tensor places = points.to(torch::kFloat64);
  const at::Tensor least = std::get<0>(places.min(0)), most = std::get<0>(places.max(0));
  const at::Tensor range = (most - least).clamp_min(1e-12);
  const at::Tensor unit = ((places - least) / range).contiguous();
  const int64_t classes = std::max<int64_t>(
      {static_cast<int64_t>(class_names.size()), labels.max().item<int64_t>() + 1, 1});
  const double room = kSide - 2 * kMargin;
  const double radius = std::clamp(60 / std::sqrt(static_cast<double>(points.size(0))), 1.5, 5.0);
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' "
      "viewBox='0 0 {0:.0f} {1:.0f}' font-family='sans-serif' font-size='12'>\n"
      "<rect width='100%' height='100%' fill='#fff'/>\n"
      "<text x='{2:.0f}' y='20' fill='#444'>{3}</text>\n",
      kSide + (class_names.empty() ? 0 : 220),
      kSide,
      kMargin,
      escape_html(title));
  const auto at = unit.accessor<double, 2>();
  const auto label = labels.accessor<int64_t, 1>();
  for (int64_t i = 0; i < points.size(0); ++i) {
    svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='{:.1f}' fill='{}' fill-opacity='.7'/>\n",
                       kMargin + room * at[i][0],
                       kSide - kMargin - room * at[i][1],
                       radius,
                       class_color(label[i], classes));
  }
  return svg + legend(class_names, classes) + "</svg>\n";
}

}  // namespace previt
