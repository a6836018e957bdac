#include "progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "log.h"

namespace previt {
namespace {

constexpr double kTerminalSeconds = 0.2;
constexpr double kPlainSeconds = 30;

int64_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string figures(const ProgressState& state, double seconds_left) {
  if (!state.task.empty()) {
    return fmt::format("{} of {} images  {:.1f} images/s  {} left",
                       state.step,
                       state.total_steps,
                       state.images_per_second,
                       duration_text(seconds_left));
  }
  return fmt::format("loss {:.4f}  {:.1f} images/s  data wait {:.0f}%  {} left",
                     state.loss,
                     state.images_per_second,
                     100 * state.data_wait,
                     duration_text(seconds_left));
}

std::string place(const ProgressState& state) {
  return state.task.empty() ? fmt::format("epoch {:.2f}/{}", state.epoch, state.epochs)
                            : state.task;
}

double share_done(const ProgressState& state) {
  return static_cast<double>(state.step) /
         static_cast<double>(std::max<int64_t>(state.total_steps, 1));
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto whole = static_cast<int64_t>(std::llround(std::max(seconds, 0.0)));
  const int64_t hours = whole / 3600;
  const int64_t minutes = whole / 60 % 60;
  if (hours >= 48) return fmt::format("{} d {} h", hours / 24, hours % 24);
  if (hours > 0) return fmt::format("{} h {:02} min", hours, minutes);
  if (minutes > 0) return fmt::format("{} min {:02} s", minutes, whole % 60);
  return fmt::format("{} s", whole);
}

Progress::Progress() : started_(Clock::now()) {}

Progress::~Progress() { set_live_line(""); }

void Progress::update(const ProgressState& state) {
  const auto now = Clock::now();
  if (first_step_ < 0) {
    first_step_ = state.step;
    started_ = now;
    shown_ = now;
    return;
  }
  const bool terminal = log_is_terminal();
  const std::chrono::duration<double> since = now - shown_;
  if (since.count() < (terminal ? kTerminalSeconds : kPlainSeconds)) return;
  shown_ = now;
  if (terminal) {
    set_live_line(bar_text(state, seconds_left(state), terminal_width()));
  } else {
    log_line(line_text(state, seconds_left(state)));
  }
}

double Progress::seconds_left(const ProgressState& state) {
  const std::chrono::duration<double> spent = Clock::now() - started_;
  const auto done = static_cast<double>(state.step - first_step_);
  return spent.count() / done * static_cast<double>(state.total_steps - state.step);
}

std::string Progress::line_text(const ProgressState& state, double seconds_left) {
  return fmt::format("{}  {}", place(state), figures(state, seconds_left));
}

std::string Progress::bar_text(const ProgressState& state, double seconds_left, int64_t width) {
  constexpr int64_t kCells = 20;
  const auto full = static_cast<int64_t>(share_done(state) * kCells);
  std::string bar;
  for (int64_t i = 0; i < kCells; ++i) bar += i < full ? "█" : "░";
  const std::string text = fmt::format(
      "{} {:3.0f}%  {}", place(state), 100 * share_done(state), figures(state, seconds_left));
  // One column stays free, since a line that wraps can't be erased. A cell is one column but three
  // bytes, so the bar's width is not its size().
  const int64_t room = width - 1;
  if (room >= kCells + 1 + static_cast<int64_t>(text.size())) return bar + " " + text;
  return text.substr(0, static_cast<size_t>(std::max<int64_t>(room, 0)));
}

}  // namespace previt
