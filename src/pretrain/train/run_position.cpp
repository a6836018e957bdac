#include "pretrain/train/run_position.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "across_ranks.h"
#include "communicator.h"
#include "cores.h"
#include "error.h"
#include "models/weights/checkpoint.h"

namespace previt {

void Speed::add(const Speed& other) {
  images += other.images;
  seconds += other.seconds;
  wait += other.wait;
}

double Speed::images_per_second() const {
  return seconds > 0 ? static_cast<double>(images) / seconds : 0;
}

double Speed::wait_share() const { return seconds > 0 ? wait / seconds : 0; }

void RunPosition::add(const StepOutcome& step, const Speed& speed) {
  ++steps_done;
  interval.add(speed);
  seconds += speed.seconds;
  bad_samples = std::max(bad_samples, step.news.bad_samples);
  if (step.skipped) {
    ++skipped_steps;
    ++skipped_in_a_row;
    return;
  }
  skipped_in_a_row = 0;
  // The same on all ranks, whose averages are added up.
  const double weight = static_cast<double>(step.images) / static_cast<double>(world().size());
  averages.merge(step.averages);
  averages.add("loss", step.loss, weight);
  averages.add("grad_norm", step.gradient_norm, weight);
}

bool RunPosition::take_if_best(const Scalars& evaluated, const std::string& name) {
  const bool finite = std::all_of(evaluated.begin(), evaluated.end(), [](const auto& value) {
    return std::isfinite(value.second);
  });
  const auto found = std::find_if(
      evaluated.begin(), evaluated.end(), [&](const auto& value) { return value.first == name; });
  if (!finite || found == evaluated.end() || !(found->second > best)) return false;
  best = found->second;
  return true;
}

Scalars RunPosition::interval_values(double lr) const {
  Scalars values = averages.of_all_ranks().means();
  // A line has a loss even where no step of its interval was good.
  if (values.empty()) values = {{"loss", std::numeric_limits<double>::quiet_NaN()}};
  values.insert(values.end(),
                {{"lr", lr},
                 {"images_per_second", interval.images_per_second()},
                 {"data_wait", interval.wait_share()}});
  if (skipped_steps > 0) values.emplace_back("skipped_steps", static_cast<double>(skipped_steps));
  if (bad_samples > 0) values.emplace_back("bad_samples", static_cast<double>(bad_samples));
  return values;
}

void RunPosition::start_interval() {
  averages.reset();
  interval = {};
}

double RunPosition::processor_seconds() const {
  const auto own = static_cast<int64_t>(std::clock() - begun);
  return earlier_processor_seconds + static_cast<double>(total(own)) / CLOCKS_PER_SEC;
}

nlohmann::json RunPosition::save() const {
  nlohmann::json meta = {{"averages", averages.of_all_ranks().save()},
                         {"interval", {interval.images, interval.seconds, interval.wait}},
                         {"seconds", seconds},
                         {"machine", machine_text()},
                         {"skipped_steps", skipped_steps},
                         {kSkippedInARow, skipped_in_a_row},
                         {"bad_samples", bad_samples}};
  // JSON has neither infinity nor NaN.
  if (std::isfinite(best)) meta["best"] = best;
  const double processor = processor_seconds();
  if (std::isfinite(processor)) meta["processor_seconds"] = processor;
  return meta;
}

void RunPosition::load(const nlohmann::json& meta) {
  try {
    steps_done = meta.at("step");
    averages.load(meta.at("averages"));
    if (!world().leads()) averages.reset();  // those of all ranks, which are added up again
    interval = {meta.at("interval").at(0), meta.at("interval").at(1), meta.at("interval").at(2)};
    seconds = meta.at("seconds");
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();  // of an older version
    earlier_processor_seconds = meta.value("processor_seconds", unknown);
    skipped_steps = meta.at("skipped_steps");
    skipped_in_a_row = meta.value(kSkippedInARow, int64_t{0});
    bad_samples = meta.value("bad_samples", int64_t{0});  // an older version kept none
  } catch (const nlohmann::json::exception& e) {
    fail("where the run stands: {}", e.what());
  }
}

}  // namespace previt
