#include "support/program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "error.h"
#include "files.h"

extern char** environ;

namespace previt::test {
namespace {

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& more) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  for (const auto& [name, value] : more) {
    std::erase_if(all, [&](const std::string& entry) { return entry.starts_with(name + "="); });
    all.push_back(name + "=" + value);
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

int open_terminal() {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  require(master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0,
          "no terminal: {}",
          std::strerror(errno));
  return master;
}

int open_for_writing(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  require(file >= 0, "{}: {}", path, std::strerror(errno));
  return file;
}

// Runs in the child: between fork and exec only calls that are safe in a process that had threads.
[[noreturn]] void become(const std::vector<char*>& words,
                         const std::vector<char*>& environment,
                         int output,
                         int errors,
                         int64_t largest_file) {
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  if (largest_file > 0) {
    const auto bytes = static_cast<rlim_t>(largest_file);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, SIG_IGN);  // a write then fails, as on a full disk
  }
  ::execve(words.front(), words.data(), environment.data());
  ::_exit(127);
}

// What a terminal shows until nobody writes to it any more.
std::string read_terminal(int master) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(master, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

}  // namespace

std::vector<std::string> Outcome::error_lines() const {
  std::vector<std::string> lines;
  std::istringstream text(errors);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

Program::Program(const std::string& file,
                 const std::vector<std::string>& words,
                 const Surroundings& surroundings) {
  std::vector<std::string> arguments = {file};
  arguments.insert(arguments.end(), words.begin(), words.end());
  auto environment = environment_with(surroundings.environment);
  const auto argument_pointers = pointers_to(arguments);
  const auto environment_pointers = pointers_to(environment);
  if (surroundings.terminal) terminal_ = open_terminal();
  const int output = open_for_writing(surroundings.output.empty() ? folder_.path() + "/output"
                                                                  : surroundings.output);
  const int errors =
      open_for_writing(surroundings.terminal ? ::ptsname(terminal_) : folder_.path() + "/errors");
  process_ = ::fork();
  if (process_ == 0) {
    become(argument_pointers, environment_pointers, output, errors, surroundings.largest_file);
  }
  ::close(output);
  ::close(errors);
  require(process_ > 0, "{}: can't be started: {}", file, std::strerror(errno));
}

Program::~Program() {
  if (process_ > 0 && runs()) {
    send(SIGKILL);
    ::waitpid(process_, &status_, 0);
  }
  if (terminal_ >= 0) ::close(terminal_);
}

void Program::send(int signal) const { ::kill(process_, signal); }

bool Program::runs() {
  if (!ended_) ended_ = ::waitpid(process_, &status_, WNOHANG) == process_;
  return !ended_;
}

Outcome Program::wait() {
  Outcome outcome;
  if (terminal_ >= 0) outcome.errors = read_terminal(terminal_);  // or a full one would block it
  if (!ended_) ::waitpid(process_, &status_, 0);
  ended_ = true;
  outcome.code = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  const auto collected = [&](const char* name) {
    const std::string path = folder_.path() + name;
    return std::filesystem::exists(path) ? read_whole_file(path) : std::string();
  };
  outcome.output = collected("/output");
  if (terminal_ < 0) outcome.errors = collected("/errors");
  return outcome;
}

Outcome run_program(const std::string& file,
                    const std::vector<std::string>& words,
                    const Surroundings& surroundings) {
  return Program(file, words, surroundings).wait();
}

}  // namespace previt::test
