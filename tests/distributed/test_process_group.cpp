#include <unistd.h>

#include <chrono>
#include <csignal>

#include "distributed/ranks.h"
#include "support/catch.h"

using namespace previt;
using namespace previt::test;
using Catch::Matchers::Contains;

namespace {

std::vector<Outcome> run(int64_t size, const std::vector<std::string>& words) {
  return Ranks(size, words).wait();
}

std::vector<Outcome> run_pair(const std::vector<Variable>& first,
                              const std::vector<Variable>& second) {
  const std::vector<std::string> words = {"--task", "none"};
  Program a(PREVIT_RANK_PROGRAM, words, Surroundings{.environment = first});
  Program b(PREVIT_RANK_PROGRAM, words, Surroundings{.environment = second});
  return {a.wait(), b.wait()};
}

}  // namespace

TEST_CASE("operations of two and three processes", "[distributed]") {
  for (const int64_t size : {2, 3}) {
    const auto outcomes = run(size, {"--task", "operations"});
    CHECK(all_errors(outcomes) == "");
    CHECK(outcomes[0].output == "done by rank 0\n");
    for (int64_t rank = 0; rank < size; ++rank) {
      CHECK(outcomes[static_cast<size_t>(rank)].code == 0);
      if (rank > 0) CHECK(outcomes[static_cast<size_t>(rank)].output == "");
    }
  }
}

TEST_CASE("a rank that fails ends all with its line", "[distributed]") {
  auto outcomes = run(3, {"--task", "fail", "--rank", "2"});
  CHECK(all_errors(outcomes) == "rank 2 of 3: disk: full\n");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 1);
  outcomes = run(3, {"--task", "fail", "--rank", "0"});
  CHECK(all_errors(outcomes) == "disk: full\n");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 1);
}

TEST_CASE("what all ranks refuse is said once", "[distributed]") {
  const auto outcomes = run(2, {"--task", "refuse"});
  CHECK(all_errors(outcomes) == "--task: refused by all\n");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 2);
}

TEST_CASE("a killed rank is named", "[distributed]") {
  auto outcomes = run(3, {"--task", "kill", "--rank", "1"});
  CHECK(outcomes[1].code == 128 + SIGKILL);
  CHECK(all_errors(outcomes) == "rank 1 of 3 is gone\n");
  CHECK(outcomes[0].code == 1);
  CHECK(outcomes[2].code == 1);

  outcomes = run(2, {"--task", "kill", "--rank", "0"});
  CHECK(outcomes[0].code == 128 + SIGKILL);
  CHECK(outcomes[1].code == 1);
  CHECK(outcomes[1].errors == "rank 0 of 2 is gone\n");
}

TEST_CASE("a rank that hangs is named after the time-out", "[distributed]") {
  const auto start = std::chrono::steady_clock::now();
  Ranks ranks(2, {"--task", "hang", "--rank", "1", "--timeout", "2"});
  const Outcome waiting = ranks[0].wait();
  CHECK(waiting.code == 1);
  CHECK(waiting.errors == "rank 1 of 2 has not answered for 2 s\n");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(ranks[1].wait().code == 1);  // ended by its own watch

  // A process that is stopped, or whose machine is, doesn't answer for the store either.
  Ranks stopped(2, {"--task", "stop", "--rank", "0", "--timeout", "2"});
  CHECK(stopped[1].wait().errors == "rank 0 of 2 has not answered for 2 s\n");
}

TEST_CASE("a rank that is busy by itself is waited for while it lives", "[distributed]") {
  const auto outcomes = run(2, {"--task", "busy", "--rank", "0", "--timeout", "2"});
  CHECK(all_errors(outcomes) == "");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 0);

  Ranks stopped(2, {"--task", "busy-stop", "--rank", "1", "--timeout", "2"});
  CHECK(stopped[0].wait().errors == "rank 1 of 2 has not answered for 2 s\n");
}

TEST_CASE("a rank that has ended waits for one that still works", "[distributed]") {
  const auto outcomes = run(2, {"--task", "linger", "--rank", "1", "--timeout", "2"});
  CHECK(all_errors(outcomes) == "");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 0);
}

TEST_CASE("ranks of different runs are named", "[distributed]") {
  const int64_t port = free_port();
  const auto outcomes = run_pair(variables_of(0, 2, port), variables_of(1, 3, port));
  CHECK_THAT(all_errors(outcomes), Contains("rank 1 of 2 runs PreViT"));
  CHECK_THAT(all_errors(outcomes), Contains("with 3 processes, but rank 0 runs PreViT"));
  for (const auto& outcome : outcomes) CHECK(outcome.code == 1);
}

TEST_CASE("a port in use is told by rank 0", "[distributed]") {
  const int64_t port = free_port();
  auto variables = variables_of(0, 2, port);
  const std::vector<std::string> words = {"--task", "train"};
  Program first(PREVIT_RANK_PROGRAM, words, Surroundings{.environment = variables});
  Program second(PREVIT_RANK_PROGRAM, words, Surroundings{.environment = variables_of(1, 2, port)});
  ::usleep(1'500'000);
  const Outcome late =
      run_program(PREVIT_RANK_PROGRAM, words, Surroundings{.environment = variables});
  CHECK(late.code == 1);
  CHECK_THAT(late.errors, Contains("the port is in use on this machine"));
  second.send(SIGTERM);  // a signal to one stops all
  CHECK(first.wait().code == 143);
  CHECK(second.wait().code == 143);
}

TEST_CASE("a command for one process refuses several", "[distributed]") {
  const auto outcomes = Ranks(2, {"--task", "none"}, {{"ALONE", "1"}}).wait();
  for (const auto& outcome : outcomes) {
    CHECK(outcome.code == 2);
    CHECK(outcome.errors == "rank_program: runs in one process, but 2 were started\n");
  }
}
