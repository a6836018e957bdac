#include <limits>
#include <regex>
#include <set>

#include "pretrain/train/report.h"
#include "pretrain/train/run_report.h"
#include "progress.h"
#include "support/catch.h"

using namespace previt;

namespace {

Chart one_curve(const Points& points) { return {.title = "x", .curves = {{.points = points}}}; }

}  // namespace

TEST_CASE("base64 of RFC 4648's examples") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\xff\x00\xfe", 3)) == "/wD+");
}

TEST_CASE("ticks are round numbers inside the range") {
  CHECK(nice_ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(nice_ticks(0.11, 0.42, 3) == std::vector<double>{0.2, 0.4});
  CHECK(nice_ticks(-1e308, 1e308, 1).empty());
  CHECK(nice_ticks(0, 5e-324, 5).empty());
}

TEST_CASE("a chart leaves gaps and says its values") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg =
      chart_svg({.title = "loss", .curves = {{.points = {{1, 2}, {2, nan}, {3, 1}, {4, 0.5}}}}});
  CHECK_THAT(svg, ContainsSubstring("epoch 3: loss 1"));
  CHECK_THAT(svg, !ContainsSubstring("nan"));
  const auto path = svg.substr(svg.find("stroke-linejoin") - 120, 120);
  CHECK(std::count(path.begin(), path.end(), 'M') == 2);
  CHECK_THAT(chart_svg(one_curve({{1, nan}})), ContainsSubstring("no finite value"));
  // A point that no line meets is seen without hovering; one in a line needs no dot.
  const std::string alone = chart_svg(one_curve({{1, 3}}));
  CHECK_THAT(alone, ContainsSubstring("epoch 1: x 3"));
  const std::string dot = R"svg(r="3" fill="var(--line)")svg";
  CHECK_THAT(alone, ContainsSubstring(dot));
  CHECK_THAT(svg, ContainsSubstring(dot));
  CHECK_THAT(chart_svg(one_curve({{1, 3}, {2, 3}})), !ContainsSubstring(dot));
}

TEST_CASE("curves over one another have one scale, and looks that differ without colours") {
  Chart chart{.title = "loss", .curves = {}};
  for (size_t i = 0; i < 40; ++i) {
    chart.curves.push_back({.name = fmt::format("run {}", i),
                            .points = {{0, 0}, {10, static_cast<double>(i)}},
                            .look = i});
  }
  const std::string legend = legend_html(chart);
  std::set<std::string> looks;
  const std::regex path(R"(<path d="M0 5H36" (.*?)/></svg>run \d+</span>)");
  for (std::sregex_iterator it(legend.begin(), legend.end(), path), end; it != end; ++it) {
    looks.insert((*it)[1]);
    CHECK_THAT(chart_svg(chart), ContainsSubstring((*it)[1].str()));
  }
  CHECK(looks.size() == 40);
  chart.curves = {{.name = "a<b", .points = {{0, 0}, {10, 1}}},
                  {.name = "b", .points = {{0, 2}, {5, 3}}, .look = 1}};
  const std::string svg = chart_svg(chart);
  CHECK_THAT(legend_html(chart), ContainsSubstring("a&lt;b"));
  CHECK_THAT(svg, ContainsSubstring("<title>a&lt;b, epoch 10: loss 1</title>"));
  // From 0 to 10 and, with margins of 6 % of 3, from 0 to 3.18.
  CHECK_THAT(svg, ContainsSubstring("d=\"M62.0 224.0L626.0 157.3\""));
  CHECK_THAT(svg, ContainsSubstring("d=\"M62.0 90.7L344.0 24.0\""));
  CHECK_THAT(svg, !ContainsSubstring("fill-opacity"));
  chart.curves.front().low = {{0, 0}, {10, 0.5}};
  chart.curves.front().high = {{0, 0}, {10, 2}};
  CHECK_THAT(chart_svg(chart),
             ContainsSubstring("d=\"M62.0 224.0L626.0 190.7L626.0 90.7L62.0 224.0Z\""));
  CHECK(legend_html(one_curve({{1, 3}})).empty());
}

TEST_CASE("a report written anew keeps what only the page before has") {
  Report before("old <title>", "");
  before.add_figure("loss", "0.9");
  before.add_figure("top-1", "81 <%");
  before.add_text("Curves", "old curves");
  before.add_text("Classes", "a < b\nc");
  before.add_text("Settings", "old");
  Report report("new", "not finished");
  report.add_figure("loss", "0.5");
  report.add_text("Curves", "new curves");
  report.add_text("Previews", "a picture");
  Report wanted("old <title>", "not finished");
  wanted.add_figure("loss", "0.5");
  wanted.add_figure("top-1", "81 <%");
  wanted.add_text("Curves", "new curves");
  wanted.add_text("Classes", "a < b\nc");
  wanted.add_text("Settings", "old");
  wanted.add_text("Previews", "a picture");
  const std::string alone = report.html();
  report.keep_from("");
  report.keep_from("<title>half of a p");
  CHECK(report.html() == alone);
  report.keep_from(before.html());
  CHECK(report.html() == wanted.html());
}

TEST_CASE(
    "a report holds figures, curves, pictures and settings, escaped, and nothing from outside") {
  const std::vector<MetricsLine> lines = {{10, {{"epoch", 1}, {"loss", 0.9}, {"lr", 0.1}}},
                                          {20, {{"epoch", 2}, {"loss", 0.5}, {"lr", 0.05}}}};
  Report report = make_report({.title = "mae <tiny>",
                               .finished = true,
                               .epochs_done = 2,
                               .epochs = 2,
                               .seconds = 3700,
                               .images_per_second = 120.04,
                               .flops_per_second = 2.5e12,
                               .peak_memory = int64_t{3} << 30},
                              lines);
  report.add_pictures("Previews", {{"input & output", "foobar"}});
  add_run_details(report, lines, {{"model.arch", "vit_tiny"}}, "pretrain --recipe a.yaml");
  const std::string html = report.html();
  for (const char* part : {"mae &lt;tiny&gt;",
                           "finished",
                           "0.5",
                           "1 h 01 min",
                           "120.0",
                           "2.50 TFLOP/s",
                           "3.00 GiB",
                           "data:image/png;base64,Zm9vYmFy",
                           "input &amp; output",
                           "model.arch",
                           "pretrain --recipe a.yaml",
                           "prefers-color-scheme"}) {
    CHECK_THAT(html, ContainsSubstring(part));
  }
  for (const char* part : {"http:", "https:", "<script"})
    CHECK_THAT(html, !ContainsSubstring(part));
}

TEST_CASE("progress says where the run is within the width of the terminal") {
  const ProgressState state{.step = 50,
                            .total_steps = 200,
                            .epoch = 2.5,
                            .epochs = 10,
                            .loss = 0.12345,
                            .images_per_second = 99.96,
                            .data_wait = 0.031};
  CHECK(Progress::line_text(state, 75) ==
        "epoch 2.50/10  loss 0.1235  100.0 images/s  data wait 3%  1 min 15 s left");
  CHECK_THAT(Progress::bar_text(state, 75, 200), ContainsSubstring("█████░"));
  CHECK(Progress::bar_text(state, 75, 30).size() == 29);
  CHECK(duration_text(200000) == "2 d 7 h");
}
