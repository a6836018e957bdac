#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace previt {

/// The run can't go on: bad data, a full disk, a damaged checkpoint. Exit code 1. The message is
/// one line and is led by (begins with) the place that it is about.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user asked for something impossible: a wrong option, a typo in a recipe. Exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Throws Error with the formatted message.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws UsageError with the formatted message.
template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error with the formatted message unless the condition holds.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(format, std::forward<Args>(args)...);
}

/// Throws Error unless a call to the system was successful: "`place`: " and the reason in errno,
/// which is read after that call even where it stands in `done`.
void require_system(bool done, const std::string& place);

}  // namespace previt
