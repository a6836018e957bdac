#pragma once

namespace previt {

/// While it lives, SIGINT, SIGTERM and SIGHUP (the terminal goes away) are noted instead of ending
/// the program. Where SIGHUP was ignored, as under nohup, it stays ignored. A second SIGINT or
/// SIGTERM ends the program at once, but for a SIGTERM within a second of the first: it may come
/// from a system that stops all processes and, for the same reason, from the program that started
/// this one. A terminal that goes away sends several signals at a time, so SIGHUP counts neither as
/// the first nor as the second.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// 0, or the exit code that the signal asks for: 129 for SIGHUP, 130 for SIGINT, 143 for SIGTERM.
  int exit_code() const;

 private:
  void (*hangup_before_)(int) = nullptr;
};

/// From here on, writing into a pipe that nobody reads any more fails instead of ending the
/// program. A log takes no notice of the failure.
void ignore_broken_pipes();

}  // namespace previt
