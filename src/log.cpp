#include "log.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <vector>

#include "error.h"
#include "utf8.h"

namespace previt {
namespace {

// Lines that are kept for the first file. A program that never opens one may say any number.
constexpr size_t kMostEarlyLines = 1000;

struct Output {
  std::mutex mutex;
  std::string live;
  std::FILE* file = nullptr;
  std::vector<std::string> early;  // what log_to's first file begins with
  bool begun = false;              // that file was opened
};

Output& output() {
  static Output shared;
  return shared;
}

// Back to the first column, then erase to the end of the line (ANSI).
constexpr const char* kEraseLine = "\r\033[K";

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local)};
}

// Not fmt::print, which throws if a file can't be written: a log is no reason to end a run.
void put(std::FILE* file, const std::string& text) {
  std::fputs(text.c_str(), file);
  std::fflush(file);
}

void write_to_file(Output& out, const std::string& line) {
  const std::string text = now_text() + " " + line + "\n";
  if (out.file != nullptr) put(out.file, text);
  if (!out.begun && out.early.size() < kMostEarlyLines) out.early.push_back(text);
}

void write_line(Output& out, const std::string& line, const std::string& coloured) {
  if (!out.live.empty()) put(stderr, kEraseLine);
  put(stderr, coloured + "\n");
  put(stderr, out.live);
  write_to_file(out, line);
}

bool colours() {
  // Any value but "" turns colours off (no-color.org).
  const char* no_color = std::getenv("NO_COLOR");
  return log_is_terminal() && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

void log_line(const std::string& line) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  const std::string one = on_one_line(line);
  write_line(out, one, one);
}

void log_warning(const std::string& text) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  const std::string one = on_one_line(text);
  write_line(out, "warning: " + one, (colours() ? "\033[33mwarning:\033[0m " : "warning: ") + one);
}

bool log_is_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

void set_live_line(const std::string& text) {
  if (!log_is_terminal()) return;
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.live = text;
  put(stderr, kEraseLine + text);
}

void log_to(const std::string& path) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  if (out.file != nullptr) std::fclose(out.file);
  out.file = std::fopen(path.c_str(), "a");
  require_system(out.file != nullptr, path);
  for (const std::string& text : out.early) put(out.file, text);
  out.early.clear();
  out.begun = true;
}

void log_error(const std::string& error) {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  write_to_file(out, "error: " + on_one_line(error));
}

}  // namespace previt
