#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace previt {

// What a run says to its user: whole lines on stderr, from any thread. Below them stands at most
// one live line (the progress bar), which new lines push down instead of breaking it.

/// Writes a line; line ends and control characters in it are escaped (utf8.h).
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

/// From now on every line is also appended to a file, each led by the time, until the process ends or
/// another file takes over: so a run's last words are in its log, whatever ended it. The first file
/// begins with what was said before it. Throws Error led by the path.
void log_to(const std::string& path);

/// Writes the error that ends the program into the file alone; the user is told by another way.
void log_error(const std::string& error);

}  // namespace previt
