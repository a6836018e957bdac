#include "pretrain/train/stop_signal.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace previt {
namespace {

volatile std::sig_atomic_t caught = 0;
std::atomic<int64_t> caught_at = 0;                        // milliseconds
static_assert(std::atomic<int64_t>::is_always_lock_free);  // or a handler couldn't use it

constexpr int kSignalBase = 128;    // the shell's convention for exit codes
constexpr int64_t kOneStop = 1000;  // milliseconds in which SIGTERM comes twice of one reason

int64_t milliseconds_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void note(int signal) {
  if (signal == SIGHUP && caught != 0) return;
  if (caught != 0 && caught != SIGHUP) {
    // systemd sends it to all processes of a service, and so does the one that started them.
    const bool again = signal == SIGTERM && caught == SIGTERM;
    if (again && milliseconds_now() - caught_at < kOneStop) return;
    _exit(kSignalBase + signal);
  }
  caught_at = milliseconds_now();  // first, as another thread may take the second one
  caught = signal;
}

}  // namespace

StopSignal::StopSignal() {
  caught = 0;
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
  hangup_before_ = std::signal(SIGHUP, note);
  if (hangup_before_ == SIG_IGN) std::signal(SIGHUP, SIG_IGN);
}

StopSignal::~StopSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGHUP, hangup_before_);
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

int StopSignal::exit_code() const { return caught == 0 ? 0 : kSignalBase + caught; }

}  // namespace previt
