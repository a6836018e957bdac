#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "support/catch.h"
#include "support/program.h"

using namespace previt;
using namespace previt::test;
using Catch::Matchers::Contains;

namespace {

using Words = std::vector<std::string>;

const Surroundings kOneThread = {.environment = {{"OMP_NUM_THREADS", "1"}}};

Outcome run(const Words& words) { return run_program(PREVIT_RANK_PROGRAM, words, kOneThread); }

// `more`: does more to the program after the signal.
Outcome signalled(
    const std::string& task,
    int signal,
    const std::function<void(const Program&)>& more = [](const Program&) {}) {
  Program program(PREVIT_RANK_PROGRAM, {"--nproc", "2", "--task", task}, kOneThread);
  ::usleep(2'500'000);  // all are at work
  program.send(signal);
  more(program);
  return program.wait();
}

std::vector<pid_t> children_of(pid_t process) {
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", process));
  std::vector<pid_t> all;
  for (pid_t child = 0; list >> child;) all.push_back(child);
  return all;
}

}  // namespace

TEST_CASE("the option --nproc starts processes that work together", "[distributed]") {
  for (const Words& words : {Words{"--nproc", "3", "--task", "operations"},
                             Words{"--task", "operations", "--nproc=2"},
                             Words{"--task", "none", "--nproc", "1"}}) {
    const Outcome outcome = run(words);
    CHECK(outcome.code == 0);
    CHECK(outcome.output == "done by rank 0\n");
    CHECK(outcome.errors == "");
  }
}

TEST_CASE("the option --nproc ends with the code of the rank that failed", "[distributed]") {
  Outcome outcome = run({"--nproc", "2", "--task", "refuse"});
  CHECK(outcome.code == 2);
  CHECK(outcome.errors == "--task: refused by all\n");
  outcome = run({"--nproc", "2", "--task", "fail", "--rank", "1"});
  CHECK(outcome.code == 1);
  CHECK(outcome.errors == "rank 1 of 2: disk: full\n");
  outcome = run({"--nproc", "2", "--task", "kill", "--rank", "1"});
  CHECK(outcome.code == 137);
  CHECK(outcome.errors == "rank 1 of 2 is gone\n");
  outcome = run({"--nproc", "2", "--task", "kill", "--rank", "0"});
  CHECK(outcome.code == 137);
  CHECK(outcome.errors == "rank 0 of 2 is gone: killed by signal 9 (Killed)\n");
}

TEST_CASE("the option --nproc starts anew what asks for it, but not for the same twice",
          "[distributed]") {
  for (const Words& more : {Words{}, Words{"--resume"}}) {  // given twice, it would be an error
    Words words = {"--nproc", "2", "--task", "ask", "--rank", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    CHECK(outcome.code == 1);
    CHECK(outcome.errors == "rank 1 of 2: 0 before\nrank 1 of 2: 8 before\n");
  }
}

TEST_CASE("the option --nproc tells of a rank 0 that hangs", "[distributed]") {
  const Outcome outcome = run({"--nproc", "2", "--task", "stop", "--timeout", "2"});
  CHECK(outcome.code == 1);
  CHECK(outcome.errors == "rank 0 of 2 has not answered\n");
}

TEST_CASE("the option --nproc ends where its parent ignores the end of children", "[distributed]") {
  const Outcome outcome =
      run_program("/usr/bin/env",
                  {"--ignore-signal=CHLD", PREVIT_RANK_PROGRAM, "--nproc", "2", "--task", "none"},
                  kOneThread);
  CHECK(outcome.code == 0);
  CHECK(outcome.output == "done by rank 0\n");
}

TEST_CASE("the option --nproc passes signals on", "[distributed]") {
  for (const auto& [signal, code] :
       {std::pair(SIGTERM, 143), std::pair(SIGINT, 130), std::pair(SIGHUP, 129)}) {
    const Outcome outcome = signalled("train", signal);
    CHECK(outcome.code == code);
    CHECK(outcome.errors == "");
    CHECK(outcome.output == "saved\n");
  }
  CHECK(signalled("sleep", SIGTERM).code == 143);  // no handler: the processes die of it
}

TEST_CASE("SIGTERM to all processes of a service at once is one stop", "[distributed]") {
  const Outcome outcome = signalled("train", SIGTERM, [](const Program& program) {
    const auto children = children_of(program.process());
    CHECK(children.size() == 2);
    for (const pid_t child : children) ::kill(child, SIGTERM);
  });
  CHECK(outcome.code == 143);
  CHECK(outcome.output == "saved\n");
  CHECK(outcome.errors == "");
}

TEST_CASE("a second signal of a user's ends all at once", "[distributed]") {
  for (const auto& [signal, pause] : {std::pair(SIGINT, 200'000), std::pair(SIGTERM, 1'500'000)}) {
    const Outcome outcome =
        signalled("train", signal, [&, signal = signal, pause = pause](const Program& program) {
          ::usleep(static_cast<useconds_t>(pause));
          program.send(signal);
        });
    CHECK(outcome.code == 128 + signal);
    CHECK(outcome.output == "");
  }
}

TEST_CASE("the option --nproc refuses what can't be", "[distributed]") {
  CHECK(run({"--nproc", "0", "--task", "none"}).code == 2);
  CHECK_THAT(run({"--nproc", "5000", "--task", "none"}).errors,
             Contains("--nproc: 5000 is not in [1, 1024]"));
  // Beside it, a new start would give --resume twice.
  CHECK(run({"--nproc", "2", "--task", "none", "--resum"}).errors ==
        "--resum: unknown option; did you mean --resume?\n");
  Surroundings started = kOneThread;
  for (const auto& [name, value] : {std::pair("RANK", "0"),
                                    std::pair("WORLD_SIZE", "2"),
                                    std::pair("MASTER_ADDR", "127.0.0.1"),
                                    std::pair("MASTER_PORT", "2000")}) {
    started.environment.emplace_back(name, value);
  }
  const Outcome twice =
      run_program(PREVIT_RANK_PROGRAM, {"--nproc", "2", "--task", "none"}, started);
  CHECK(twice.code == 2);
  CHECK(twice.errors == "--nproc: the processes have been started already\n");
}
