#include "commands/own_program.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "error.h"

namespace previt::cli {
namespace {

std::string read_whole(int file) {
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t n = 0; (n = ::read(file, part.data(), part.size())) != 0;) {
    if (n < 0 && errno != EINTR) break;
    if (n > 0) text.append(part.data(), static_cast<size_t>(n));
  }
  return text;
}

}  // namespace

std::string output_of_own_program(std::vector<std::string> words) {
  words.insert(words.begin(), "bench");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  std::array<int, 2> pipe{};
  require_system(::pipe2(pipe.data(), O_CLOEXEC) == 0, "a pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(pipe[1], STDOUT_FILENO);
    ::execv("/proc/self/exe", pointers.data());
    ::_exit(127);
  }
  const int why = errno;
  ::close(pipe[1]);
  const std::string text = child > 0 ? read_whole(pipe[0]) : "";
  ::close(pipe[0]);
  require(child > 0, "a process can't be started: {}", std::strerror(why));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  words.erase(words.begin());
  require(status == 0, "failed: {}", fmt::join(words, " "));
  return text;
}

}  // namespace previt::cli
