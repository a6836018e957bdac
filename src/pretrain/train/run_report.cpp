#include "pretrain/train/run_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "progress.h"

namespace previt {
namespace {

constexpr size_t kTableLines = 12;

std::string last_value(const std::vector<MetricsLine>& lines, const std::string& name) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (const double* value = find_value(*line, name)) return fmt::format("{:.4g}", *value);
  }
  return "–";
}

std::string flops_text(double flops_per_second) {
  return flops_per_second >= 1e12 ? fmt::format("{:.2f} TFLOP/s", flops_per_second / 1e12)
                                  : fmt::format("{:.1f} GFLOP/s", flops_per_second / 1e9);
}

std::string memory_text(int64_t bytes) {
  const auto mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes >= 1024 ? fmt::format("{:.2f} GiB", mebibytes / 1024)
                           : fmt::format("{:.0f} MiB", mebibytes);
}

}  // namespace

Points points_of(const std::vector<MetricsLine>& lines,
                 const std::string& x,
                 const std::string& name) {
  Points points;
  for (const auto& line : lines) {
    const auto step = static_cast<double>(line.step);
    const double* at = x == "step" ? &step : find_value(line, x);
    const double* value = find_value(line, name);
    if (at != nullptr && value != nullptr) points.emplace_back(*at, *value);
  }
  return points;
}

std::string title_of_metric(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string speed_text(const RunSummary& summary) {
  std::string text = fmt::format("{:.1f} images/s", summary.images_per_second);
  if (summary.flops_per_second > 0) text += ", " + flops_text(summary.flops_per_second);
  return text + ", peak memory " + memory_text(summary.peak_memory);
}

Report make_report(const RunSummary& summary, const std::vector<MetricsLine>& lines) {
  Report report(summary.title,
                fmt::format("{} · {:.4g} of {} epochs · PreViT {}",
                            summary.finished ? "finished" : "not finished",
                            summary.epochs_done,
                            summary.epochs,
                            PREVIT_VERSION));
  report.add_figure("loss", last_value(lines, "loss"));
  report.add_figure("training time", duration_text(summary.seconds));
  if (summary.images_per_second > 0) {
    report.add_figure("images per second", fmt::format("{:.1f}", summary.images_per_second));
  }
  if (summary.flops_per_second > 0) {
    report.add_figure("arithmetic", flops_text(summary.flops_per_second));
  }
  if (summary.peak_memory > 0) report.add_figure("peak memory", memory_text(summary.peak_memory));
  if (summary.skipped_steps > 0) {
    report.add_figure("steps left out", std::to_string(summary.skipped_steps));
  }
  if (summary.bad_samples > 0) {
    report.add_figure("unreadable images", std::to_string(summary.bad_samples));
  }
  if (!summary.diagnosis.empty()) report.add_text(kDiagnosisSection, summary.diagnosis);
  std::vector<Chart> charts;
  for (const auto& name : metric_names(lines)) {
    const Points points = points_of(lines, "epoch", name);
    if (points.empty()) continue;
    charts.push_back({.title = title_of_metric(name), .curves = {{.points = points}}});
  }
  report.add_charts("Curves", charts);
  return report;
}

void add_run_details(Report& report,
                     const std::vector<MetricsLine>& lines,
                     const Settings& settings,
                     const std::string& command) {
  const auto names = metric_names(lines);
  std::vector<std::string> header = {"epoch"};
  header.insert(header.end(), names.begin(), names.end());
  std::vector<std::vector<std::string>> rows;
  const size_t first = lines.size() > kTableLines ? lines.size() - kTableLines : 0;
  for (size_t i = first; i < lines.size(); ++i) {
    std::vector<std::string> row;
    for (const auto& name : header) {
      const double* value = find_value(lines[i], name);
      row.push_back(value == nullptr ? "" : fmt::format("{:.4g}", *value));
    }
    rows.push_back(std::move(row));
  }
  report.add_table("Last lines of metrics.jsonl", header, rows);
  if (!command.empty()) report.add_text("Make it again", command);
  std::vector<std::vector<std::string>> options;
  for (const auto& [key, value] : settings) options.push_back({key, value});
  if (!options.empty()) report.add_table("Settings", {"key", "value"}, options, /*folded=*/true);
}

}  // namespace previt
