#include "distributed/ranks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"

namespace previt::test {

int64_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(socket, any, length) == 0 && ::getsockname(socket, any, &length) == 0;
  ::close(socket);
  require(bound, "127.0.0.1: no port");
  return ntohs(address.sin_port);
}

std::string all_errors(const std::vector<Outcome>& outcomes) {
  std::string text;
  for (const auto& outcome : outcomes) text += outcome.errors;
  return text;
}

std::vector<Variable> variables_of(int64_t rank, int64_t size, int64_t port) {
  return {{"RANK", std::to_string(rank)},
          {"WORLD_SIZE", std::to_string(size)},
          {"LOCAL_RANK", std::to_string(rank)},
          {"LOCAL_WORLD_SIZE", std::to_string(size)},
          {"MASTER_ADDR", "127.0.0.1"},
          {"MASTER_PORT", std::to_string(port)},
          {"OMP_NUM_THREADS", "1"}};
}

Ranks::Ranks(int64_t size,
             const std::vector<std::string>& words,
             const std::vector<Variable>& more) {
  const int64_t port = free_port();
  for (int64_t rank = 0; rank < size; ++rank) {
    auto variables = variables_of(rank, size, port);
    variables.insert(variables.end(), more.begin(), more.end());
    programs_.push_back(std::make_unique<Program>(
        PREVIT_RANK_PROGRAM, words, Surroundings{.environment = variables}));
  }
}

std::vector<Outcome> Ranks::wait() {
  std::vector<Outcome> outcomes;
  for (auto& program : programs_) outcomes.push_back(program->wait());
  return outcomes;
}

}  // namespace previt::test
