// What several processes do where memory runs out in one of them.
#include <filesystem>

#include "distributed/ranks.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/program.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

// Two epochs of 4 steps; each of two processes has 4 images of a batch.
const Words kRun = Words{"pretrain"} + kTinyMae +
                   Words{"--data", "synthetic:shapes,size=64,count=32,val=20"} +
                   settings({"model.image_size=[64]", "train.epochs=2"});

Words two(const std::string& run, const std::string& micro_batch) {
  return kRun + settings({"train.micro_batch=" + micro_batch}) +
         Words{"--out", run, "--nproc", "2"};
}

Surroundings starved(const std::string& when) {
  return {.environment = {{"OMP_NUM_THREADS", "1"}, {"STARVED", when}}};
}

int64_t micro_batch_of(const std::string& run) {
  TrainOptions train;
  Recipe::load(run + "/recipe.yaml").read("train", train);
  return train.micro_batch;
}

}  // namespace

TEST_CASE("all processes take the micro-batch that fits in each", "[distributed]") {
  const TempFolder folder;
  const std::string run = folder.path() + "/run";
  const Outcome outcome = run_program(PREVIT_RANK_PROGRAM, two(run, "auto"), starved("trial"));
  INFO(outcome.errors);
  CHECK(outcome.code == 0);
  CHECK(micro_batch_of(run) == 2);
}

TEST_CASE("the option --nproc goes on with fewer images where memory runs out in one process later",
          "[distributed]") {
  const TempFolder folder;
  const std::string run = folder.path() + "/run", first_epoch = run + "/checkpoints/step_00000004";
  SECTION("with micro_batch: auto") {
    const Outcome outcome =
        run_program(PREVIT_RANK_PROGRAM, two(run, "auto"), starved(first_epoch));
    INFO(outcome.errors);
    CHECK(outcome.code == 0);
    CHECK(micro_batch_of(run) == 2);
    for (const char* told : {"rank 1 of 2: train.micro_batch: 2, as 4 images at a time don't fit "
                             "in memory; all processes begin anew\n",
                             "going on after step 4 of 8",
                             "done after step 8 of 8"}) {
      CHECK_THAT(outcome.errors, ContainsSubstring(told));
    }
  }
  SECTION("but not where the user named their number") {
    const Outcome outcome = run_program(PREVIT_RANK_PROGRAM, two(run, "4"), starved(first_epoch));
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.errors,
               ContainsSubstring("rank 1 of 2: train.micro_batch: 4 images at a time don't fit in "
                                 "memory; go on with --resume --set train.micro_batch=2"));
  }
}
