#include "models/kernels/matmul_ways.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <exception>
#include <limits>

#include "clocks.h"

namespace previt {
namespace {

constexpr double kWorthMeasuring = 5e7;  // FLOPs; below, a choice gains nothing
constexpr double kGain = 0.95;           // less is noise
constexpr double kHopeless = 1.6;
constexpr double kFirstTime = 0.02;  // seconds in which memory is touched, a kernel compiled
constexpr double kShort = 0.01;      // seconds; what takes less is timed more often
constexpr int kRepeats = 3;

template <class Compute>
double seconds_of(const Compute& compute) {
  const auto begin = std::chrono::steady_clock::now();
  compute();
  return seconds_since(begin);
}

// As it would be without other programs, where one thread computes; several wait for one another.
template <class Compute>
double undisturbed_seconds_of(const Compute& compute) {
  if (at::get_num_threads() > 1) return seconds_of(compute);
  const double begin = thread_seconds();
  compute();
  return thread_seconds() - begin;
}

}  // namespace

double MatmulShape::flops() const {
  return 2 * static_cast<double>(rows) * static_cast<double>(out) * static_cast<double>(in);
}

std::string MatmulShape::text() const {
  return fmt::format("{} {} rows={}+ {}x{} threads={}",
                     kind,
                     at::toString(type),
                     std::bit_floor(static_cast<uint64_t>(rows)),
                     out,
                     in,
                     at::get_num_threads());
}

at::Tensor MatmulWays::compute(const MatmulShape& shape, const std::vector<MatmulWay>& ways) {
  if (!seconds_) return computed(shape, ways);
  at::Tensor result;
  *seconds_ += seconds_of([&] { result = computed(shape, ways); });
  return result;
}

at::Tensor MatmulWays::computed(const MatmulShape& shape, const std::vector<MatmulWay>& ways) {
  const bool small = shape.flops() < kWorthMeasuring || at::in_parallel_region();
  if (small || ways.size() == 1) return ways.front().compute();
  const std::string text = shape.text();
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    const auto found = chosen_.find(text);
    if (found != chosen_.end()) name = found->second;
  }
  if (name.empty() && measures_) return measured(shape, ways);
  const auto way = std::find_if(
      ways.begin(), ways.end(), [&](const MatmulWay& candidate) { return candidate.name == name; });
  return way == ways.end() ? ways.front().compute() : way->compute();
}

at::Tensor MatmulWays::measured(const MatmulShape& shape, const std::vector<MatmulWay>& ways) {
  at::Tensor best;
  std::map<std::string, double> speeds;
  std::string name;
  double best_seconds = std::numeric_limits<double>::infinity();
  for (const MatmulWay& way : ways) {
    try {
      at::Tensor result;
      const auto timed = [&] { return undisturbed_seconds_of([&] { result = way.compute(); }); };
      if (timed() > kHopeless * best_seconds + kFirstTime) continue;
      double seconds = timed();
      for (int i = 1; i < kRepeats && seconds < kShort; ++i) seconds = std::min(seconds, timed());
      speeds[way.name] = shape.flops() / seconds / 1e9;
      if (seconds > kGain * best_seconds) continue;
      best_seconds = seconds;
      best = result;
      name = way.name;
    } catch (const std::exception&) {
      continue;  // it can't compute this type here; oneDNN's errors are not c10's
    }
  }
  if (!best.defined()) return ways.front().compute();
  const std::lock_guard lock(mutex_);
  chosen_[shape.text()] = name;
  speeds_[shape.text()] = speeds;
  return best;
}

std::map<std::string, std::string> MatmulWays::chosen() const {
  const std::lock_guard lock(mutex_);
  return chosen_;
}

std::map<std::string, std::map<std::string, double>> MatmulWays::speeds() const {
  const std::lock_guard lock(mutex_);
  return speeds_;
}

void MatmulWays::choose(const std::map<std::string, std::string>& chosen) {
  const std::lock_guard lock(mutex_);
  chosen_ = chosen;
}

MatmulWays& matmul_ways() {
  static MatmulWays ways;
  return ways;
}

}  // namespace previt
