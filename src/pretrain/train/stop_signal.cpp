#include "pretrain/train/stop_signal.h"

#include <unistd.h>

#include <csignal>

namespace previt {
namespace {

volatile std::sig_atomic_t caught = 0;

constexpr int kSignalBase = 128;  // the shell's convention for exit codes

void note(int signal) {
  if (signal == SIGHUP && caught != 0) return;
  if (caught != 0 && caught != SIGHUP) _exit(kSignalBase + signal);
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
