#include "pretrain/train/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

#include "pretrain/train/run_report.h"
#include "progress.h"

namespace previt {
namespace {

using Row = std::vector<std::string>;
constexpr const char* kNotKnown = "–";
constexpr const char* kBest = " ★";

std::string or_none(const std::string& text) { return text.empty() ? kNotKnown : text; }
std::string time_or_none(double seconds) {
  return seconds > 0 ? duration_text(seconds) : kNotKnown;
}

void add_runs(Report& report, const ComparedRuns& runs) {
  std::vector<Row> rows;
  for (const ComparedRun& run : runs) {
    rows.push_back({run.name,
                    run.objective,
                    run.network,
                    run.images > 0 ? std::to_string(run.images) : kNotKnown,
                    fmt::format("{:.4g} of {}", run.epochs_done, run.epochs),
                    time_or_none(run.seconds),
                    time_or_none(run.processor_seconds),
                    or_none(run.machine)});
  }
  report.add_table(
      "Runs",
      {"run", "objective", "network", "images", "epochs", "time", "processor time", "machine"},
      rows);
}

// The keys of all runs, each where it first stands.
std::vector<std::string> keys_of(const ComparedRuns& runs) {
  std::vector<std::string> keys;
  std::set<std::string> seen;
  for (const ComparedRun& run : runs) {
    for (const auto& [key, value] : run.settings) {
      if (seen.insert(key).second) keys.push_back(key);
    }
  }
  return keys;
}

// What only runs of one method have is no difference between methods.
void add_differences(Report& report, const ComparedRuns& runs) {
  std::vector<Row> rows;
  for (const std::string& key : keys_of(runs)) {
    std::set<std::string> values;
    Row row = {key};
    for (const ComparedRun& run : runs) {
      const std::string* value = find_setting(run, key);
      if (value != nullptr) values.insert(*value);
      row.push_back(value == nullptr ? kNotKnown : value->empty() ? "\"\"" : *value);
    }
    if (values.size() > 1) rows.push_back(std::move(row));
  }
  if (rows.empty()) return report.add_text("Settings that differ", "none");
  Row header = {"key"};
  for (const ComparedRun& run : runs) header.push_back(run.name);
  report.add_table("Settings that differ", header, rows);
}

// A figure of each run, not a number where it has none; and how it is written.
struct Column {
  std::string title;
  std::function<double(const ComparedRun&)> value;
  std::function<std::string(double)> text;
  enum { more, less, none } better = more;
};

double last_loss(const ComparedRun& run) {
  const Points points = points_of(run.lines, "step", "loss");
  return points.empty() ? std::nan("") : points.back().second;
}

// The median, which pauses don't touch.
double usual_speed(const ComparedRun& run) {
  std::vector<double> speeds;
  for (const auto& [step, speed] : points_of(run.lines, "step", "images_per_second")) {
    if (std::isfinite(speed)) speeds.push_back(speed);
  }
  if (speeds.empty()) return std::nan("");
  const auto middle = speeds.begin() + std::ssize(speeds) / 2;
  std::nth_element(speeds.begin(), middle, speeds.end());
  return *middle;
}

Column score_column(const std::string& name) {
  const auto value = [name](const ComparedRun& run) {
    const auto found = run.scores.find(name);
    return found == run.scores.end() ? std::nan("") : found->second;
  };
  return {name, value, [](double score) { return fmt::format("{:.2f} %", score); }};
}

std::vector<Column> columns_of(const ComparedRuns& runs) {
  std::set<std::string> objectives, scores;
  for (const ComparedRun& run : runs) {
    objectives.insert(run.objective);
    for (const auto& [name, score] : run.scores) scores.insert(name);
  }
  // Losses of different objectives measure different things.
  std::vector<Column> columns = {{"last loss",
                                  last_loss,
                                  [](double loss) { return fmt::format("{:.4f}", loss); },
                                  objectives.size() == 1 ? Column::less : Column::none}};
  for (const std::string& name : scores) columns.push_back(score_column(name));
  columns.push_back(
      {"images/s", usual_speed, [](double speed) { return fmt::format("{:.1f}", speed); }});
  return columns;
}

// The best value of a column; not a number where there is nothing to choose.
double best_in(const Column& column, std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (column.better == Column::none || values.size() < 2) return std::nan("");
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return column.better == Column::less ? *least : *most;
}

void add_results(Report& report, const ComparedRuns& runs) {
  Row header = {"run"};
  std::vector<Row> rows;
  for (const ComparedRun& run : runs) rows.push_back({run.name});
  for (const Column& column : columns_of(runs)) {
    header.push_back(column.title);
    std::vector<double> values;
    for (const ComparedRun& run : runs) values.push_back(column.value(run));
    const double best = best_in(column, values);
    for (size_t i = 0; i < runs.size(); ++i) {
      std::string text = std::isfinite(values[i]) ? column.text(values[i]) : kNotKnown;
      if (values[i] == best) text += kBest;
      rows[i].push_back(std::move(text));
    }
  }
  report.add_table("Results (★ the best)", header, rows);
}

}  // namespace

Report comparison(const ComparedRuns& runs, ChartAxis axis) {
  Report report(fmt::format("{} runs side by side", runs.size()),
                fmt::format("PreViT {}", PREVIT_VERSION));
  add_runs(report, runs);
  std::string damaged;
  for (const ComparedRun& run : runs) {
    if (run.damaged_lines == 0) continue;
    damaged += fmt::format("{}: {} lines of metrics.jsonl\n", run.name, run.damaged_lines);
  }
  if (!damaged.empty()) report.add_text("Left out, as damaged", damaged);
  add_results(report, runs);
  add_differences(report, runs);
  report.add_charts("Curves", compared_charts(runs, axis));
  return report;
}

}  // namespace previt
