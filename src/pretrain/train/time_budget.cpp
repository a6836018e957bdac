#include "pretrain/train/time_budget.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "error.h"

namespace previt {
namespace {

constexpr int64_t kMostDigits = 9;  // so that no sum overflows

struct Unit {
  char letter;
  int64_t seconds;
};
constexpr std::array kUnits = {Unit{'h', 3600}, Unit{'m', 60}, Unit{'s', 1}};

// Takes "30m" off the front of `text`; 0 where there is none.
int64_t take_unit(std::string_view& text, const Unit& unit) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > kMostDigits || digits == text.size() || text[digits] != unit.letter) {
    return 0;
  }
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + digits, number);
  text.remove_prefix(digits + 1);
  return number * unit.seconds;
}

constexpr double kLeastTimes = 8;
constexpr std::array kIntervals = {"checkpoint_epochs", "preview_epochs"};
constexpr std::string_view kFrozenAtFirst = "freeze_last_layer";

bool is_interval(std::string_view name) {
  return std::find(kIntervals.begin(), kIntervals.end(), name) != kIntervals.end();
}

bool counts_epochs(std::string_view name) {
  return name.ends_with("_epochs") || name.ends_with("_epoch");
}

// Two digits behind the point: a recipe should be readable. None becomes 0, which may mean another
// thing.
constexpr double kLeastEpochs = 0.01;
double rounded_epochs(double epochs) { return std::round(epochs * 100) / 100; }

void scale_epochs(double& epochs, double factor) {
  if (epochs > 0) epochs = std::max(kLeastEpochs, rounded_epochs(epochs * factor));
}
void scale_epochs(int64_t& epochs, double factor) {
  epochs = std::llround(static_cast<double>(epochs) * factor);
}
void scale_epochs(std::vector<double>& all, double factor) {
  for (double& epochs : all) scale_epochs(epochs, factor);
}
void scale_epochs(auto&, double) {}

}  // namespace

double parse_duration(const std::string& text, const std::string& place) {
  std::string_view rest = text;
  int64_t seconds = 0;
  for (const Unit& unit : kUnits) seconds += take_unit(rest, unit);
  if (!rest.empty() || seconds == 0) {
    fail_usage("{}: {} is no time like 2h, 30m, 90s or 1h30m", place, text);
  }
  return static_cast<double>(seconds);
}

double RunTime::seconds(int64_t epochs) const {
  const int64_t scores = score_epochs > 0 ? epochs / score_epochs + 1 : 0;
  return static_cast<double>(epochs * images_in_epoch + scores * images_scored) / images_per_second;
}

int64_t RunTime::epochs_within(double limit) const {
  const double most = limit * images_per_second / static_cast<double>(images_in_epoch);
  auto epochs = static_cast<int64_t>(std::min(most, 1e9));  // if nothing were scored
  while (epochs > 0 && seconds(epochs) > limit) {
    const double excess = (seconds(epochs) - limit) * images_per_second;
    const auto at_most = static_cast<double>(images_in_epoch + images_scored);  // in an epoch
    epochs -= std::max<int64_t>(1, static_cast<int64_t>(excess / at_most));
  }
  return epochs;
}

bool decided_by_budget(std::string_view key) {
  return key == "train.epochs" || counts_epochs(key) || key.ends_with(kFrozenAtFirst);
}

void EpochScale::field(const Field& field) {
  const auto from = static_cast<double>(from_), to = static_cast<double>(to_);
  const std::string_view name = field.name;
  if (is_interval(name)) {
    double& interval = *std::get<double*>(field.value);
    interval = std::min(interval, to / kLeastTimes);
    return;
  }
  if (name == kFrozenAtFirst) {
    int64_t& frozen = *std::get<int64_t*>(field.value);
    frozen = std::min(frozen, to_ - 1);
    return;
  }
  if (!counts_epochs(name)) return;
  std::visit(
      [&](const auto& value) {
        if constexpr (requires { *value; }) scale_epochs(*value, to / from);
      },
      field.value);
}

}  // namespace previt
