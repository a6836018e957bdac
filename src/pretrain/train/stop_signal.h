#pragma once

namespace previt {

/// While it lives, SIGINT and SIGTERM are noted instead of ending the program; a second one ends it
/// at once.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// 0, or the exit code that the signal asks for: 130 for SIGINT, 143 for SIGTERM.
  int exit_code() const;
};

}  // namespace previt
