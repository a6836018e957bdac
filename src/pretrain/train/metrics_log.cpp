#include "pretrain/train/metrics_log.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "error.h"
#include "files.h"
#include "json_text.h"

namespace previt {
namespace {

std::string to_json(const MetricsLine& line) {
  nlohmann::ordered_json json;
  json["step"] = line.step;
  for (const auto& [name, value] : line.values) {
    // A whole number is written as one: 3, not 3.0.
    if (value == std::floor(value) && std::abs(value) < 1e15) {
      json[name] = static_cast<int64_t>(value);
    } else {
      json[name] = value;
    }
  }
  return json.dump();
}

/// False for a line that is not one of ours.
bool parse(const std::string& text, MetricsLine& line) {
  const auto json = json_or_discarded<nlohmann::ordered_json>(text);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer())
    return false;
  line.step = json["step"];
  for (const auto& [name, value] : json.items()) {
    if (name == "step" || !(value.is_number() || value.is_null())) continue;
    const double number =
        value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
    line.values.emplace_back(name, number);
  }
  return true;
}

}  // namespace

std::vector<MetricsLine> read_metrics(const std::string& path,
                                      int64_t last_step,
                                      int64_t* damaged) {
  std::vector<MetricsLine> lines;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    MetricsLine line;
    const bool good = parse(text, line);
    if (!good && damaged != nullptr) ++*damaged;
    if (good && line.step <= last_step) lines.push_back(std::move(line));
  }
  return lines;
}

const double* find_value(const MetricsLine& line, const std::string& name) {
  for (const auto& [key, value] : line.values) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::vector<std::string> metric_names(const std::vector<MetricsLine>& lines) {
  std::vector<std::string> names = {"loss"};
  for (const auto& line : lines) {
    for (const auto& [name, value] : line.values) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::erase(names, "epoch");
  return names;
}

MetricsLog::MetricsLog(std::string path, int64_t last_step)
    : path_(std::move(path)), lines_(read_metrics(path_, last_step)) {
  std::string text;
  for (const auto& line : lines_) text += to_json(line) + '\n';
  write_whole_file(path_, text);
}

void MetricsLog::write(MetricsLine line) {
  append_to_file(path_, to_json(line) + '\n');
  lines_.push_back(std::move(line));
}

}  // namespace previt
