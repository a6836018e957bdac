#include <chrono>
#include <csignal>

#include "distributed/device_identities.h"
#include "distributed/ranks.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;
using namespace previt::test;
using Catch::Matchers::Contains;

namespace {

// Ranks whose tensors lie on the counted device, with an engine of its own (counted_engine.h).
std::vector<Outcome> run(int64_t size,
                         std::vector<std::string> words,
                         const std::vector<Variable>& more = {}) {
  words.push_back("--counted");
  return Ranks(size, words, more).wait();
}

}  // namespace

TEST_CASE("tensors of a device go by its engine, those of the host by gloo", "[distributed]") {
  for (const int64_t size : {2, 3}) {
    const auto outcomes = run(size, {"--task", "operations"});
    CHECK(all_errors(outcomes) == "");
    CHECK(outcomes[0].output == "done by rank 0\n");
    for (const auto& outcome : outcomes) CHECK(outcome.code == 0);
  }
}

TEST_CASE("two ranks on one GPU are refused before its engine is asked", "[distributed]") {
  const auto outcomes = run(2, {"--task", "operations"}, {{"COUNTED_IDENTITY", "GPU-1"}});
  CHECK(all_errors(outcomes) ==
        "--device: ranks 0 and 1 have the same GPU, GPU-1; start one process a GPU, or set "
        "PREVIT_NCCL=0 to let them share it over main memory\n");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 2);
}

TEST_CASE("an engine is taken where all ranks have a device of it") {
  CHECK(are_devices_of_an_engine("GPU-1\nGPU-2\nGPU-3\n"));
  CHECK_FALSE(are_devices_of_an_engine("GPU-1\n\nGPU-3\n"));
  CHECK_FALSE(are_devices_of_an_engine("\n\n"));
  CHECK_THROWS_AS(are_devices_of_an_engine("GPU-1\nGPU-2\nGPU-1\n"), UsageError);
  CHECK_THROWS_WITH(are_devices_of_an_engine("GPU-1\nGPU-2\nGPU-1\n"), Contains("ranks 0 and 2 "));
}

TEST_CASE("a killed rank is named though a device's operations never end", "[distributed]") {
  const auto start = std::chrono::steady_clock::now();
  auto outcomes = run(3, {"--task", "kill", "--rank", "1"});
  CHECK(outcomes[1].code == 128 + SIGKILL);
  CHECK(all_errors(outcomes) == "rank 1 of 3 is gone\n");
  CHECK(outcomes[0].code == 1);
  CHECK(outcomes[2].code == 1);
  // --nproc ends what is still there after 15 seconds, and then has no line.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));

  outcomes = run(2, {"--task", "kill", "--rank", "0"});
  CHECK(outcomes[0].code == 128 + SIGKILL);
  CHECK(outcomes[1].errors == "rank 0 of 2 is gone\n");
}

TEST_CASE("a rank that doesn't come to a device's operation is named", "[distributed]") {
  Ranks ranks(2, {"--task", "hang", "--rank", "1", "--timeout", "2", "--counted"});
  const Outcome waiting = ranks[0].wait();
  CHECK(waiting.code == 1);
  CHECK(waiting.errors == "rank 1 of 2 has not answered for 2 s\n");
  CHECK(ranks[1].wait().code == 1);

  const auto outcomes = run(3, {"--task", "fail", "--rank", "2"});
  CHECK(all_errors(outcomes) == "rank 2 of 3: disk: full\n");
  for (const auto& outcome : outcomes) CHECK(outcome.code == 1);
}
