#pragma once

namespace previt {

/// While it lives, SIGINT, SIGTERM and SIGHUP (the terminal goes away; not where it is ignored, as
/// under nohup) are noted instead of ending the program. A second SIGINT or SIGTERM ends it at
/// once; with a terminal several signals come at a time, so SIGHUP doesn't count.
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

/// From here on a pipe that nobody reads any more is a failed write, which a log takes no notice
/// of, instead of the end of the program.
void ignore_broken_pipes();

}  // namespace previt
