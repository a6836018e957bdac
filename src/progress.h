#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace previt {

/// Where a run is, as its user sees it.
struct ProgressState {
  int64_t step = 0, total_steps = 1;
  double epoch = 0;  ///< done, fractional
  int64_t epochs = 1;
  double loss = 0;
  double images_per_second = 0;
  double data_wait = 0;  ///< share of the time spent waiting for data
  /// What is done when it is no training ("reading features"): shown with the steps, which then are
  /// images, instead of epoch and loss.
  std::string task = {};
};

/// On the steady clock, to now.
inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// "1 h 02 min", "3 min 20 s", "45 s".
std::string duration_text(double seconds);

/// A bar on the live line of a terminal, a few times a second; without a terminal, a plain line now
/// and then.
class Progress {
 public:
  Progress();
  ~Progress();  ///< removes the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(const ProgressState& state);

  /// For tests: the bar of `width` columns and the plain line.
  static std::string bar_text(const ProgressState& state, double seconds_left, int64_t width);
  static std::string line_text(const ProgressState& state, double seconds_left);

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_left(const ProgressState& state);

  Clock::time_point shown_;
  Clock::time_point started_;
  int64_t first_step_ = -1;
};

}  // namespace previt
