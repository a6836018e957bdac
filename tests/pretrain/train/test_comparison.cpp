#include <algorithm>

#include "pretrain/train/comparison.h"
#include "support/catch.h"

using namespace previt;

namespace {

MetricsLine line(int64_t step, double epoch, double loss) {
  return {step, {{"epoch", epoch}, {"loss", loss}}};
}

ComparedRun run(const std::string& name, const std::string& objective, const Settings& settings) {
  return {.name = name,
          .objective = objective,
          .network = "vit_tiny",
          .machine = "",
          .epochs = 4,
          .settings = settings,
          .lines = {line(10, 1, 2), line(20, 2, 1)},
          .scores = {}};
}

// The cells of the row that begins with this one.
std::vector<std::string> row(const std::string& html,
                             const std::string& section,
                             const std::string& first) {
  const size_t from = html.find("<h2>" + section + "</h2>");
  REQUIRE(from != html.npos);
  const size_t last = html.find("</table>", from);
  size_t at = std::min(html.find("<tr><td>" + first + "</td>", from),
                       html.find("<tr><th>" + first + "</th>", from));
  if (at > last) return {};
  std::vector<std::string> cells;
  const size_t end = html.find("</tr>", at);
  for (at += 4; (at = html.find("<t", at)) < end;) {
    at += 4;
    cells.push_back(html.substr(at, html.find("</t", at) - at));
  }
  return cells;
}

using Cells = std::vector<std::string>;

}  // namespace

TEST_CASE("a comparison's tables tell runs, results and the settings that differ") {
  ComparedRun a =
      run("a <&\">", "mae", {{"train.seed", "0"}, {"x", "1"}, {"mae.y", "<2>"}, {"z", ""}});
  a.machine = "AMD, 2 cores";
  a.images = 500;
  a.epochs_done = 2;
  a.seconds = 61;
  a.processor_seconds = 3700;
  a.damaged_lines = 3;
  a.scores = {{"kNN", 50.126}};
  for (const double speed : {10.0, 30.0, 20.0}) {
    a.lines.push_back({20, {{"images_per_second", speed}}});
  }
  ComparedRun b = run("b", "mae", {{"train.seed", "0"}, {"x", "1"}, {"mae.y", "3"}, {"z", "4"}});
  b.lines.back().values.back().second = 0.25;
  b.scores = {{"kNN", 50.5}, {"top-1", 7}};
  const std::string html = comparison({a, b}).html();
  const std::string name = "a &lt;&amp;&quot;&gt;";

  CHECK(
      row(html, "Runs", name) ==
      Cells{name, "mae", "vit_tiny", "500", "2 of 4", "1 min 01 s", "1 h 01 min", "AMD, 2 cores"});
  CHECK(row(html, "Runs", "b") == Cells{"b", "mae", "vit_tiny", "–", "0 of 4", "–", "–", "–"});
  CHECK_THAT(html, ContainsSubstring(name + ": 3 lines of metrics.jsonl"));
  const std::string results = "Results (★ the best)";
  CHECK(row(html, results, "run") == Cells{"run", "last loss", "kNN", "top-1", "images/s"});
  CHECK(row(html, results, name) == Cells{name, "1.0000", "50.13 %", "–", "20.0"});
  CHECK(row(html, results, "b") == Cells{"b", "0.2500 ★", "50.50 % ★", "7.00 %", "–"});
  const std::string differ = "Settings that differ";
  CHECK(row(html, differ, "key") == Cells{"key", name, "b"});
  CHECK(row(html, differ, "mae.y") == Cells{"mae.y", "&lt;2&gt;", "3"});
  CHECK(row(html, differ, "z") == Cells{"z", "&quot;&quot;", "4"});
  CHECK(row(html, differ, "x").empty());
  CHECK(row(html, differ, "train.seed").empty());
  for (const char* part : {"http:", "https:", "<script", "a <&\">"}) {
    CHECK_THAT(html, !ContainsSubstring(part));
  }
}

TEST_CASE("runs of different objectives share all charts but those of the loss") {
  ComparedRun mae = run("m", "mae", {{"x", "1"}, {"mae.y", "2"}});
  ComparedRun dino = run("d", "dino", {{"x", "1"}, {"dino.k", "5"}});
  ComparedRun sharp = run("s", "dino", {{"x", "1"}, {"dino.k", "6"}});
  mae.lines.back().values.emplace_back("lr", 0.1);
  dino.lines.back().values.emplace_back("lr", 0.2);
  dino.lines.back().values.emplace_back("teacher_entropy", 4);
  const auto charts = compared_charts({mae, dino, sharp}, ChartAxis::automatic);
  std::vector<std::pair<std::string, Cells>> found;
  for (const Chart& chart : charts) {
    CHECK(chart.x_label == "epoch");
    found.push_back({chart.title, {}});
    for (const Curve& curve : chart.curves) found.back().second.push_back(curve.name);
  }
  const std::vector<std::pair<std::string, Cells>> wanted = {{"loss (mae)", {"m"}},
                                                             {"loss (dino)", {"d", "s"}},
                                                             {"lr", {"m", "d"}},
                                                             {"teacher entropy", {"d"}}};
  CHECK(found == wanted);
  // The same run looks the same everywhere.
  CHECK(charts[1].curves[0].look == 1);
  CHECK(charts[3].curves[0].look == 1);
  const std::string html = comparison({mae, dino, sharp}).html();
  CHECK(row(html, "Results (★ the best)", "m") == Cells{"m", "1.0000", "–"});
  // A key of one method differs where its runs do.
  CHECK(row(html, "Settings that differ", "dino.k") == Cells{"dino.k", "–", "5", "6"});
  CHECK(row(html, "Settings that differ", "mae.y").empty());
  CHECK_THAT(comparison({mae, mae}).html(), ContainsSubstring("<pre>none</pre>"));
}

TEST_CASE("curves are drawn over epochs if all runs tell them, else over steps") {
  const ComparedRun a = run("a", "mae", {});
  ComparedRun b = a;
  CHECK(compared_charts({a, b}, ChartAxis::automatic)[0].curves[1].points ==
        Points{{1, 2}, {2, 1}});
  CHECK(compared_charts({a, b}, ChartAxis::step)[0].curves[1].points == Points{{10, 2}, {20, 1}});
  for (auto& line : b.lines) line.values.erase(line.values.begin());
  const auto charts = compared_charts({a, b}, ChartAxis::automatic);
  CHECK(charts[0].x_label == "step");
  CHECK(charts[0].curves[0].points == Points{{10, 2}, {20, 1}});
}

TEST_CASE("among other recipes, runs that differ in the seed alone are a band around their mean") {
  ComparedRun a = run("a", "mae", {{"train.seed", "0"}, {"x", "1"}});
  ComparedRun b = run("b", "mae", {{"train.seed", "1"}, {"x", "1"}});
  const ComparedRun c = run("c", "mae", {{"train.seed", "0"}, {"x", "2"}});
  b.lines = {line(10, 1, 4), line(20, 2, 3), line(30, 3, 1)};
  const auto curves_of = [](const ComparedRuns& runs) {
    return compared_charts(runs, ChartAxis::automatic)[0].curves;
  };
  const auto curves = curves_of({a, c, b});
  REQUIRE(curves.size() == 2);
  CHECK(curves[0].name == "a, b (2 seeds)");
  CHECK(curves[0].points == Points{{1, 3}, {2, 2}});  // where both have one
  CHECK(curves[0].low == Points{{1, 2}, {2, 1}});
  CHECK(curves[0].high == Points{{1, 4}, {2, 3}});
  CHECK(curves[1].name == "c");
  CHECK(curves[1].low.empty());
  CHECK(curves_of({a, b}).size() == 2);        // seeds of the one recipe there is
  CHECK(curves_of({a, a, b, c}).size() == 4);  // a seed twice
}
