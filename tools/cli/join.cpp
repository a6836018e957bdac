#include "cli/join.h"

#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "cores.h"
#include "distributed/environment.h"
#include "distributed/process_group.h"
#include "error.h"

namespace previt::cli {
namespace {

// While it lives, what this process prints goes nowhere; say() still reaches the user.
class Silence {
 public:
  explicit Silence(bool wanted) : wanted_(wanted) {
    if (!wanted) return;
    std::fflush(nullptr);
    user_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0) return;
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::close(nowhere);
  }

  void say(const std::string& line) {
    const std::string text = line + "\n";
    std::fflush(nullptr);
    const int to = wanted_ && user_ >= 0 ? user_ : STDERR_FILENO;
    if (::write(to, text.data(), text.size()) < 0) return;  // nobody is there to be told
  }

 private:
  bool wanted_;
  int user_ = -1;
};

void divide_threads(const Place& place) {
  divide_cores(place.local_size, place.cores);
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    at::set_num_threads(static_cast<int>(local_share_of_cores()));
  }
}

JoinOptions join_options(const Variables& variables) {
  JoinOptions options;
  options.program = fmt::format("PreViT {} on LibTorch {}", PREVIT_VERSION, TORCH_VERSION);
  options.c10d_logs = debugging();
  const auto listener = variables.find(kListenerVariable);
  options.leader_is_watched = listener != variables.end();
  if (options.leader_is_watched && listener->second != "-1") {
    options.listener = std::stoi(listener->second);
  }
  return options;
}

Ending meet_and_work(ProcessGroup& group, const std::function<Ending()>& work) {
  try {
    group.meet();
    Ending ending = work();
    if (ending.line.empty()) group.leave();
    return ending;
  } catch (const PeerError& error) {
    return {.code = 1, .line = error.what(), .because_of_peer = true};
  } catch (const std::exception& error) {
    return {.code = 1, .line = error.what()};
  }
}

std::string said_by(const Place& place, const Ending& ending) {
  if (place.rank == 0 || ending.because_of_peer) return ending.line;
  return fmt::format("rank {} of {}: {}", place.rank, place.size, ending.line);
}

}  // namespace

bool debugging() {
  const char* value = std::getenv("PREVIT_DEBUG");
  return value != nullptr && std::strcmp(value, "0") != 0;
}

Ending in_world(const std::string& command,
                bool takes_several,
                const std::function<Ending()>& work) {
  const Variables variables = environment_variables();
  const Place place = place_from(variables);
  if (place.size == 1) return work();
  if (!takes_several) {
    fail_usage("{}: runs in one process, but {} were started", command, place.size);
  }
  divide_threads(place);
  Silence silence(place.rank != 0 && !debugging());
  std::unique_ptr<ProcessGroup> opened;
  try {
    opened = open_group(place, join_options(variables));
  } catch (const Error& error) {
    silence.say(said_by(place, {.code = 1, .line = error.what()}));
    std::_Exit(1);
  }
  ProcessGroup& group = *opened;
  const JoinedWorld joined(std::move(opened));
  const Ending ending = meet_and_work(group, work);
  if (ending.line.empty()) return ending;
  const bool tells =
      ending.because_of_peer ? group.fail_after_peer() : group.fail_with(ending.line);
  if (tells) silence.say(said_by(place, ending));
  std::fflush(nullptr);
  // Not exit: threads of c10d still work on what will never come.
  std::_Exit(ending.code);
}

}  // namespace previt::cli
