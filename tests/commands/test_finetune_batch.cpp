// How the batch of a fine-tuning is fitted to few labelled images.
#include <optional>

#include "support/catch.h"
#include "support/fake_ranks.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

namespace {

struct Case {
  int64_t images, batch, micro_batch, processes;
  int64_t fitted = 0, micro = 0;
};

cli::FinetuneJob opened(const Case& wanted) {
  const Words sizes = settings({fmt::format("train.batch={}", wanted.batch),
                                fmt::format("train.micro_batch={}", wanted.micro_batch)});
  const std::string data = fmt::format("synthetic:shapes,size=16,count={},val=30", wanted.images);
  cli::FinetuneJob job =
      cli::FinetuneJob::read(parse(Words{"--from", "none", "--data", data} + kTiny + sizes));
  job.open_data();
  return job;
}

}  // namespace

TEST_CASE("few labelled images make up whole micro-batches, as large as the recipe's") {
  const Case wanted = GENERATE(Case{149, 1024, 128, 1, 128, 128},
                               Case{1009, 1024, 128, 1, 896, 128},
                               Case{149, 1024, 0, 1, 149, 149},
                               Case{149, 1024, 512, 1, 149, 149},
                               Case{149, 1024, 128, 2, 148, 74},
                               Case{149, 1024, 32, 2, 128, 32},
                               Case{149, 96, 32, 1, 96, 32});
  INFO(wanted.images << " images, micro-batch " << wanted.micro_batch);
  std::optional<FakeWorld> ranks;
  if (wanted.processes > 1) ranks.emplace(0, wanted.processes);
  const cli::FinetuneJob job = opened(wanted);
  const TrainOptions& train = job.run.options.train;
  CHECK(train.batch == wanted.fitted);
  CHECK(train.micro() == wanted.micro);
  CHECK_NOTHROW(train.require_shareable());
  CHECK(job.training_source()->epoch_plan().steps() == 1);
}

TEST_CASE("an evaluation takes as many images at a time as the recipe says") {
  const auto at_a_time = [](const Case& wanted) {
    return opened(wanted).validation_batches().epoch_plan().batch;
  };
  CHECK(at_a_time({149, 1024, 128, 1}) == 128);
  CHECK(at_a_time({149, 1024, 0, 1}) == 149);
  CHECK(at_a_time({300, 1024, 0, 1}) == 256);
  CHECK(at_a_time({149, 64, 48, 1}) == 48);
  CHECK(at_a_time({149, 64, 128, 1}) == 64);
}
