#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace previt {

// What a run tells its user: whole lines on stderr, from any thread, and at most one live line
// below them (the progress bar) that lines push down instead of tearing.

void log_line(const std::string& line);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(fmt::format(format, std::forward<Args>(args)...));
}

/// As info, led by "warning: ".
void log_warning(const std::string& text);

template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  log_warning(fmt::format(format, std::forward<Args>(args)...));
}

/// Whether stderr is a terminal; without one there is no live line.
bool log_is_terminal();

/// Replaces the live line; "" removes it. Does nothing without a terminal.
void set_live_line(const std::string& text);

/// While it lives, lines are also appended to a file, each led by the time.
class LogFile {
 public:
  explicit LogFile(const std::string& path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
};

}  // namespace previt
