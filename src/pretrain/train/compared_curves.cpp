#include "pretrain/train/compared_curves.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "options.h"
#include "pretrain/train/run_report.h"

namespace previt {
namespace {

constexpr const char* kSeed = "train.seed";

// Runs that are drawn as one curve.
struct DrawnRuns {
  std::string name;
  std::vector<const ComparedRun*> runs;
};

// All settings but the seed, as one text.
std::string recipe_of(const ComparedRun& run) {
  std::string text;
  for (const auto& [key, value] : run.settings) {
    if (key != kSeed) text += key + '\n' + value + '\n';
  }
  return text;
}

std::string seed_of(const ComparedRun& run) {
  const std::string* seed = find_setting(run, kSeed);
  return seed == nullptr ? "" : *seed;
}

bool has_seed_of(const DrawnRuns& group, const ComparedRun& run) {
  return std::any_of(group.runs.begin(), group.runs.end(), [&](const ComparedRun* own) {
    return seed_of(*own) == seed_of(run);
  });
}

std::vector<DrawnRuns> groups_of(const ComparedRuns& runs) {
  std::vector<DrawnRuns> groups;
  std::map<std::string, size_t> places;
  bool repeated = false;
  for (const ComparedRun& run : runs) {
    const auto [place, is_new] = places.try_emplace(recipe_of(run), groups.size());
    if (is_new) groups.emplace_back();
    DrawnRuns& group = groups[place->second];
    // Two runs of one seed are there to be told apart.
    repeated = repeated || (!is_new && has_seed_of(group, run));
    group.runs.push_back(&run);
  }
  if (repeated || groups.size() == 1) {
    groups.clear();
    for (const ComparedRun& run : runs) groups.push_back({.name = "", .runs = {&run}});
  }
  for (DrawnRuns& group : groups) {
    std::vector<std::string> names;
    for (const ComparedRun* run : group.runs) names.push_back(run->name);
    group.name = fmt::format("{}", fmt::join(names, ", "));
    if (names.size() > 1) group.name += fmt::format(" ({} seeds)", names.size());
  }
  return groups;
}

// Mean, least and most of several runs where all have a finite value.
Curve curve_of(const DrawnRuns& group, const std::string& x, const std::string& metric) {
  Curve curve{.name = group.name};
  if (group.runs.size() == 1) {
    curve.points = points_of(group.runs.front()->lines, x, metric);
    return curve;
  }
  std::map<double, std::vector<double>> values;
  for (const ComparedRun* run : group.runs) {
    for (const auto& [at, value] : points_of(run->lines, x, metric)) {
      if (std::isfinite(value)) values[at].push_back(value);
    }
  }
  for (const auto& [at, all] : values) {
    if (all.size() < group.runs.size()) continue;
    double sum = 0;
    for (const double value : all) sum += value;
    const auto [low, high] = std::minmax_element(all.begin(), all.end());
    curve.points.emplace_back(at, sum / static_cast<double>(all.size()));
    curve.low.emplace_back(at, *low);
    curve.high.emplace_back(at, *high);
  }
  return curve;
}

// The curves of those whose objective is this one; "": of all.
Chart chart_of(const std::vector<DrawnRuns>& groups,
               const std::string& objective,
               const std::string& x,
               const std::string& metric) {
  Chart chart{.title = title_of_metric(metric), .x_label = x, .curves = {}};
  if (!objective.empty()) chart.title += fmt::format(" ({})", objective);
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!objective.empty() && groups[i].runs.front()->objective != objective) continue;
    Curve curve = curve_of(groups[i], x, metric);
    curve.look = i;
    if (!curve.points.empty()) chart.curves.push_back(std::move(curve));
  }
  return chart;
}

bool all_tell_epochs(const ComparedRuns& runs) {
  return std::all_of(runs.begin(), runs.end(), [](const ComparedRun& run) {
    return std::any_of(run.lines.begin(), run.lines.end(), [](const MetricsLine& line) {
      return find_value(line, "epoch") != nullptr;
    });
  });
}

// Each once, as they first come.
std::vector<std::string> objectives_of(const ComparedRuns& runs) {
  std::vector<std::string> objectives;
  for (const ComparedRun& run : runs) {
    const auto known = std::find(objectives.begin(), objectives.end(), run.objective);
    if (known == objectives.end()) objectives.push_back(run.objective);
  }
  return objectives;
}

}  // namespace

const std::string* find_setting(const ComparedRun& run, const std::string& key) {
  for (const auto& [name, value] : run.settings) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::vector<Chart> compared_charts(const ComparedRuns& runs, ChartAxis axis) {
  if (axis == ChartAxis::automatic) {
    axis = all_tell_epochs(runs) ? ChartAxis::epoch : ChartAxis::step;
  }
  const std::vector<DrawnRuns> groups = groups_of(runs);
  std::vector<MetricsLine> lines;
  for (const ComparedRun& run : runs) {
    lines.insert(lines.end(), run.lines.begin(), run.lines.end());
  }
  const std::vector<std::string> all = {""}, objectives = objectives_of(runs);
  std::vector<Chart> charts;
  for (const std::string& metric : metric_names(lines)) {
    const bool apart = metric == "loss" && objectives.size() > 1;
    for (const std::string& objective : apart ? objectives : all) {
      charts.push_back(chart_of(groups, objective, name_of(axis), metric));
    }
  }
  std::erase_if(charts, [](const Chart& chart) { return chart.curves.empty(); });
  return charts;
}

}  // namespace previt
