#include <unistd.h>

#include <csignal>

#include "support/catch.h"
#include "support/program.h"

using namespace previt;
using namespace previt::test;
using Catch::Matchers::Contains;

namespace {

using Words = std::vector<std::string>;

const Surroundings kOneThread = {.environment = {{"OMP_NUM_THREADS", "1"}}};

Outcome run(const Words& words) { return run_program(PREVIT_RANK_PROGRAM, words, kOneThread); }

Outcome signalled(const std::string& task, int signal) {
  Program program(PREVIT_RANK_PROGRAM, {"--nproc", "2", "--task", task}, kOneThread);
  ::usleep(2'500'000);  // all are at work
  program.send(signal);
  return program.wait();
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
  }
  CHECK(signalled("sleep", SIGTERM).code == 143);  // no handler: the processes die of it
}

TEST_CASE("the option --nproc refuses what can't be", "[distributed]") {
  CHECK(run({"--nproc", "0", "--task", "none"}).code == 2);
  CHECK_THAT(run({"--nproc", "5000", "--task", "none"}).errors,
             Contains("--nproc: 5000 is not in [1, 1024]"));
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
