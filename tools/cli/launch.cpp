#include "cli/launch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "cli/new_start.h"
#include "distributed/environment.h"
#include "distributed/process_group.h"
#include "error.h"

namespace previt::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kEndingTime = std::chrono::seconds(15);
constexpr int64_t kMostProcesses = 1024;
constexpr int kSignalBase = 128;  // the shell's convention for exit codes
constexpr const char* kResume = "--resume";

// A port that nobody else can take before rank 0 serves on it.
struct Listener {
  int socket = -1;
  int port = 0;
};

Listener listen_on_loopback() {
  Listener listener{.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool bound = listener.socket >= 0 && ::bind(listener.socket, any, length) == 0 &&
                     ::listen(listener.socket, SOMAXCONN) == 0 &&
                     ::getsockname(listener.socket, any, &length) == 0;
  require_system(bound, "--nproc: no port on 127.0.0.1");
  listener.port = ntohs(address.sin_port);
  return listener;
}

// This program's words, from the system: a command of several doesn't see what comes before its own.
std::vector<std::string> words_without_nproc() {
  std::ifstream all("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(all, word, '\0');) {
    if (word.starts_with("--nproc=")) continue;
    if (word == "--nproc") {
      std::getline(all, word, '\0');
    } else {
      words.push_back(word);
    }
  }
  require(!words.empty(), "--nproc: /proc/self/cmdline can't be read");
  return words;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_of(int64_t rank,
                                        int64_t size,
                                        const Listener& listener,
                                        const NewStarts& new_starts) {
  Variables all = environment_variables();
  std::erase_if(all, [](const auto& entry) { return entry.first.starts_with("TORCHELASTIC_"); });
  all["RANK"] = all["LOCAL_RANK"] = std::to_string(rank);
  all["WORLD_SIZE"] = all["LOCAL_WORLD_SIZE"] = std::to_string(size);
  all["MASTER_ADDR"] = "127.0.0.1";
  all["MASTER_PORT"] = std::to_string(listener.port);
  all[kListenerVariable] = rank == 0 ? std::to_string(listener.socket) : "-1";
  for (const auto& [name, value] : new_starts.variables()) all[name] = value;
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(fmt::format("{}={}", name, value));
  return lines;
}

sigset_t signals_to_wait_for() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

class Children {
 public:
  Children(int64_t size, std::vector<std::string> words, const NewStarts& new_starts)
      : words_(std::move(words)), new_starts_(new_starts) {
    const sigset_t waited = signals_to_wait_for();
    ::signal(SIGCHLD, SIG_DFL);  // ignored, as a parent may leave it, no child can be waited for
    ::sigprocmask(SIG_BLOCK, &waited, &mask_before_);
    const Listener listener = listen_on_loopback();
    for (int64_t rank = 0; rank < size; ++rank) start(rank, size, listener);
    ::close(listener.socket);
  }

  int wait() {
    const sigset_t waited = signals_to_wait_for();
    const timespec longest{.tv_sec = 0, .tv_nsec = 200'000'000};
    while (living_ > 0) {
      const int signal = ::sigtimedwait(&waited, nullptr, &longest);
      if (signal > 0 && signal != SIGCHLD) pass_on(signal);
      reap();
      if (failed_ && Clock::now() - failed_at_ > kEndingTime) end_all();
    }
    ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
    return code_;
  }

  bool stopped() const { return passed_on_ != 0; }  ///< by a signal to this process

 private:
  void start(int64_t rank, int64_t size, const Listener& listener);
  void reap();
  void pass_on(int signal);
  void note_end(size_t rank, int status);
  void end_all();

  void send_all(int signal) const {
    for (const pid_t child : processes_) {
      if (child > 0) ::kill(child, signal);
    }
  }

  std::vector<std::string> words_;
  const NewStarts& new_starts_;
  std::vector<pid_t> processes_;  // by rank; 0: has ended
  size_t living_ = 0;
  sigset_t mask_before_{};
  int passed_on_ = 0;  // the signal that the run ends by
  int code_ = 0;
  bool failed_ = false;
  bool ended_all_ = false;
  Clock::time_point failed_at_;
};

void Children::start(int64_t rank, int64_t size, const Listener& listener) {
  auto environment = environment_of(rank, size, listener, new_starts_);
  const auto words = pointers_to(words_);
  const auto variables = pointers_to(environment);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    // Its own group: what a terminal or `timeout` sends to all comes once, through the parent.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // it ended before
    if (rank == 0) ::fcntl(listener.socket, F_SETFD, 0);
    new_starts_.hand_over();
    ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
    ::execve("/proc/self/exe", words.data(), variables.data());
    ::_exit(127);
  }
  if (child < 0) {
    const int why = errno;
    send_all(SIGKILL);
    fail("--nproc: process {} of {} can't be started: {}", rank + 1, size, std::strerror(why));
  }
  processes_.push_back(child);
  ++living_;
}

void Children::pass_on(int signal) {
  struct sigaction now {};
  ::sigaction(signal, nullptr, &now);
  // Under nohup. A blocked signal comes nevertheless.
  if (signal == SIGHUP && now.sa_handler == SIG_IGN) return;
  const bool first = passed_on_ == 0;
  passed_on_ = signal;
  if (first && processes_.front() > 0) {
    ::kill(processes_.front(), signal);
  } else {
    send_all(signal);
  }
}

void Children::end_all() {
  // Those that ended on its account, by 1, left it to this process to speak of it.
  if (!ended_all_ && processes_.front() > 0 && code_ == 1) {
    const auto line = fmt::format("rank 0 of {} has not answered\n", processes_.size());
    std::fputs(line.c_str(), stderr);
  }
  ended_all_ = true;
  send_all(SIGKILL);
}

void Children::reap() {
  for (size_t rank = 0; rank < processes_.size(); ++rank) {
    int status = 0;
    if (processes_[rank] == 0 || ::waitpid(processes_[rank], &status, WNOHANG) <= 0) continue;
    processes_[rank] = 0;
    --living_;
    note_end(rank, status);
  }
}

void Children::note_end(size_t rank, int status) {
  const bool killed = WIFSIGNALED(status);
  const int code = killed ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
  if (code == 0) return;
  const bool stopped = passed_on_ != 0 && code == kSignalBase + passed_on_;
  if (killed && stopped) send_all(passed_on_);  // a command that doesn't tell the others itself
  if (killed && !stopped && rank == 0 && !failed_) {
    const int signal = WTERMSIG(status);
    const auto line = fmt::format("rank 0 of {} is gone: killed by signal {} ({})\n",
                                  processes_.size(),
                                  signal,
                                  ::strsignal(signal));
    std::fputs(line.c_str(), stderr);
  }
  // A rank that ends on account of another has 1, so any other code is nearer to the reason.
  if (code_ == 0 || (code_ == 1 && code != kSignalBase + SIGKILL)) code_ = code;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    if (code == kSignalBase + signal) return;  // it was saved, and so do the others
  }
  if (!failed_) failed_at_ = Clock::now();
  failed_ = true;
}

}  // namespace

void add_nproc_option(po::options_description& options) {
  options.add_options()(
      "nproc",
      po::value<int64_t>(),
      "processes on this machine that share the work; more machines: docs/processes.md");
}

int64_t asked_processes(const po::variables_map& values) {
  if (values.count("nproc") == 0) return 1;
  const auto processes = values["nproc"].as<int64_t>();
  if (processes < 1 || processes > kMostProcesses) {
    fail_usage("--nproc: {} is not in [1, {}]", processes, kMostProcesses);
  }
  if (processes > 1) require_c10d();
  return processes;
}

int launch(int64_t processes) {
  NewStarts new_starts;
  auto words = words_without_nproc();
  for (;;) {
    Children children(processes, words, new_starts);
    const int code = children.wait();
    if (code == 0 || children.stopped() || !new_starts.asked()) return code;
    if (std::find(words.begin(), words.end(), kResume) == words.end()) words.push_back(kResume);
  }
}

}  // namespace previt::cli
