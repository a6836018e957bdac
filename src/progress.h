#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace previt {

/// How far a run has come, as its user sees it.
struct ProgressState {
  int64_t step = 0, total_steps = 1;
  double epoch = 0;  ///< epochs done, with a fraction
  int64_t epochs = 1;
  double loss = 0;
  double images_per_second = 0;
  double data_wait = 0;  ///< share of the time spent waiting for data
  /// Work that is not training, such as "reading features". It is shown instead of epoch and loss,
  /// and the steps then are images.
  std::string task = {};
};

/// "2 d 5 h", "1 h 02 min", "3 min 20 s", "45 s"; "?" for a number that is not finite.
std::string duration_text(double seconds);

/// Shows a bar on the live line of a terminal, renewed a few times a second. Without a terminal, it
/// writes a plain line every half minute.
class Progress {
 public:
  Progress();
  ~Progress();  ///< removes the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows the state, if it is time to. The first call only starts the clock.
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
