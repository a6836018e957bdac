#include <c10/util/Exception.h>

#include "commands/first_steps.h"
#include "error.h"
#include "support/catch.h"
#include "support/fake_ranks.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

// 32 images in batches of 8; the sizes of the micro-batches that are tried.
struct Tried {
  PretrainRun run = [] {
    auto recipe = Recipe::parse("objective: mae\nschedule: {warmup_epochs: 8}\n");
    PretrainRun read = PretrainRun::read(recipe);
    const RunOptions tiny = tiny_options();
    read.options.train = tiny.train;
    read.options.train.epochs = 64;
    read.options.optimizer = tiny.optimizer;
    return read;
  }();
  std::vector<int64_t> sizes;
  bool replays = false;  // whether a trial could
  int64_t most = 8;      // images that memory holds
  double seconds = 0;    // that a micro-batch takes
  std::function<void()> meanwhile = [] {};

  void decide(cli::FirstSteps asked) {
    double clock = 0;
    asked.now = [&] { return clock; };
    cli::decide_by_first_steps(run, asked, [&](const RunOptions& options) {
      const auto objective = std::make_shared<TinyObjective>();
      const int64_t micro = options.train.micro();
      sizes.push_back(micro);
      replays = replays || options.train.cuda_graph != GraphChoice::off;
      objective->change_loss = [this, micro](const at::Tensor& loss, const StepInfo&) {
        meanwhile();
        TORCH_CHECK_WITH(OutOfMemoryError, micro <= most, "no memory");
        return loss;
      };
      auto source = std::make_unique<MemorySource>(32, micro, options.train.batch);
      source->before_next = [&] { clock += seconds; };
      return std::make_unique<Trial>(objective, std::move(source), options);
    });
  }
};

using Sizes = std::vector<int64_t>;

}  // namespace

TEST_CASE("micro_batch: auto is the whole batch, or what is left of it after errors") {
  Tried all;
  all.run.options.train.micro_batch = kAutomatic;
  all.decide({});
  CHECK(all.sizes == Sizes{8});
  CHECK(all.run.options.train.micro_batch == 8);

  Tried part;
  part.run.options.train.micro_batch = kAutomatic;
  part.most = 3;
  part.decide({});
  CHECK(part.sizes == Sizes{8, 4, 2});
  CHECK(part.run.options.train.micro_batch == 2);
  CHECK(part.run.options.train.batch == 8);

  Tried none;
  none.run.options.train.micro_batch = kAutomatic;
  none.most = 0;
  CHECK_THROWS_AS(none.decide({}), Error);
}

TEST_CASE("a large batch is tried with few images first, where memory can't be asked for") {
  Tried tried;
  tried.run.options.train.batch = 32;
  tried.run.options.train.micro_batch = kAutomatic;
  tried.most = 32;
  SECTION("in main memory") {
    tried.decide({});
    CHECK(tried.sizes == Sizes{16, 32});
  }
  SECTION("not on a GPU, which says when it has no more") {
    tried.decide({.in_main_memory = false});
    CHECK(tried.sizes == Sizes{32});
  }
  CHECK(tried.run.options.train.micro_batch == 32);
}

TEST_CASE("what asks nothing of the first steps makes none") {
  Tried tried;
  tried.decide({});
  CHECK(tried.sizes.empty());
}

TEST_CASE("a time budget decides the epochs and the warm-up") {
  Tried tried;
  tried.seconds = 0.125;  // for 8 images: half a second for an epoch
  // Of the 95 s that are for training, 2 short steps and 16 measured ones take 2.25 s.
  SECTION("alone") {
    tried.decide({.time_budget = 100});
    CHECK(tried.run.options.train.epochs == 185);
    CHECK(tried.run.options.schedule.warmup_epochs == Approx(8 * 185 / 64.0).margin(0.006));
  }
  SECTION("with scores of a quarter of a second each, after every tenth and at the end") {
    tried.decide({.time_budget = 100, .images_scored = 16});
    CHECK(tried.run.options.train.epochs == 176);
  }
  CHECK(tried.sizes == Sizes{8});
}

TEST_CASE("a time in which no epoch fits is refused with the time of one") {
  Tried tried;
  tried.seconds = 5;
  CHECK_THROWS_WITH(tried.decide({.time_budget = 15}),
                    "--time-budget: 15 s: one epoch of 32 images takes 20 s here, at 1.6 images/s");
  CHECK(tried.run.options.train.epochs == 64);
  CHECK(tried.run.options.schedule.warmup_epochs == 8);
}

TEST_CASE("each of two processes tries its half of a batch by itself") {
  Tried tried;
  tried.run.options.train.micro_batch = kAutomatic;
  tried.run.options.train.cuda_graph = GraphChoice::on;
  const FakeWorld two(0, 2);
  tried.meanwhile = [&] { CHECK(two.busy() == 1); };  // however long it takes
  tried.decide({});
  CHECK(two.busy() == 0);
  CHECK(tried.sizes == Sizes{4});
  CHECK(tried.run.options.train.micro_batch == 4);
  CHECK(tried.run.options.train.batch == 8);
  CHECK(!tried.replays);  // which the two will not do
  CHECK(tried.run.options.train.cuda_graph == GraphChoice::on);
  CHECK(two.sent().empty());
}

TEST_CASE("a time budget goes by rank 0's speed on all ranks") {
  Tried tried;
  tried.seconds = 5;
  // 32 images a second for each of two processes, which took 2.25 s to find it out.
  const FakeWorld two(1, 2, zeros, [](const at::Tensor& found) {
    found.copy_(torch::tensor({32.0, 2.25}, torch::kFloat64));
  });
  tried.decide({.time_budget = 100});
  CHECK(tried.run.options.train.epochs == 185);
}
