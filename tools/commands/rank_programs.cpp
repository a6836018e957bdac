#include "commands/rank_programs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "error.h"

extern char** environ;

namespace previt::cli {
namespace {

// A port of loopback that is free now.
int64_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  require(socket >= 0, "bench scaling: no socket: {}", std::strerror(errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* general = reinterpret_cast<sockaddr*>(&address);
  const bool known =
      ::bind(socket, general, size) == 0 && ::getsockname(socket, general, &size) == 0;
  ::close(socket);
  require(known, "bench scaling: no free port: {}", std::strerror(errno));
  return ntohs(address.sin_port);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> environment_of(int64_t rank, int64_t processes, int64_t port) {
  std::vector<std::string> all = {"OMP_NUM_THREADS=1"};
  if (processes > 1) {
    for (const char* name : {"RANK", "LOCAL_RANK"}) all.push_back(fmt::format("{}={}", name, rank));
    for (const char* name : {"WORLD_SIZE", "LOCAL_WORLD_SIZE"}) {
      all.push_back(fmt::format("{}={}", name, processes));
    }
    all.emplace_back("MASTER_ADDR=127.0.0.1");
    all.push_back(fmt::format("MASTER_PORT={}", port));
  }
  for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
  return all;  // of two values of a variable, the first one counts
}

pid_t start(std::vector<std::string> words, std::vector<std::string> environment, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t process = 0;
  const int error = ::posix_spawn(&process,
                                  "/proc/self/exe",
                                  &actions,
                                  nullptr,
                                  pointers(words).data(),
                                  pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  require(error == 0, "bench scaling: a process can't be started: {}", std::strerror(error));
  return process;
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t n = 0; (n = ::read(file, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<size_t>(n));
  }
  return text;
}

}  // namespace

std::string output_of_ranks(const std::vector<std::string>& words, int64_t processes) {
  std::vector<std::string> all = {"bench"};
  all.insert(all.end(), words.begin(), words.end());
  std::array<int, 2> pipe{};
  require(::pipe2(pipe.data(), O_CLOEXEC) == 0, "bench scaling: {}", std::strerror(errno));
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const int64_t port = processes > 1 ? free_port() : 0;
  std::vector<pid_t> started;
  for (int64_t rank = 0; rank < processes; ++rank) {
    started.push_back(
        start(all, environment_of(rank, processes, port), rank == 0 ? pipe[1] : nowhere));
  }
  ::close(pipe[1]);
  ::close(nowhere);
  const std::string text = read_all(pipe[0]);
  ::close(pipe[0]);
  int64_t failed = -1;
  for (size_t rank = 0; rank < started.size(); ++rank) {
    int status = 0;
    ::waitpid(started[rank], &status, 0);
    if (status != 0 && failed < 0) failed = static_cast<int64_t>(rank);
  }
  require(failed < 0, "bench scaling: process {} of {} failed", failed, processes);
  return text;
}

}  // namespace previt::cli
