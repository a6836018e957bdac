#include "error.h"
#include "memory.h"
#include "pretrain/train/trial.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/recorded_graph.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

struct Tried {
  std::shared_ptr<TinyObjective> objective = std::make_shared<TinyObjective>();
  int64_t batches = 0;
  double clock = 0;

  // A micro-batch takes `seconds`.
  Trial trial(int64_t micro, double seconds = 0) {
    RunOptions options = tiny_options();  // batches of 8
    options.train.micro_batch = micro;
    auto source = std::make_unique<MemorySource>(26, micro, 8);
    source->before_next = [this, seconds] {
      ++batches;
      clock += seconds;
    };
    return Trial(objective, std::move(source), options);
  }
};

struct Replayable final : TinyObjective {
  bool replayable() const override { return true; }
};

}  // namespace

TEST_CASE("short steps see two micro-batches, and update twice") {
  Tried whole, parts;
  whole.trial(8).make_short_steps();
  CHECK(whole.batches == 2);
  parts.trial(2).make_short_steps();
  CHECK(parts.batches == 4);
  CHECK(parts.objective->moves.item<double>() == 2);
  CHECK(parts.objective->is_training());
}

TEST_CASE("speed is that of whole steps, for so many seconds and at least for one") {
  Tried tried;
  Trial trial = tried.trial(4, 0.25);  // two a step: 0.5 s for 8 images
  const auto now = [&] { return tried.clock; };
  CHECK(trial.images_in_epoch() == 24);
  CHECK(trial.images_per_second(1.9, now) == 16);
  CHECK(tried.batches == 8);  // four steps: the last began before 1.9 s
  CHECK(trial.images_per_second(0, now) == 16);
  CHECK(tried.batches == 10);
}

TEST_CASE("speed is that of replayed steps where the run will replay them") {
  if (!counted_device_has_gradients()) return;
  double clock = 0;
  const auto objective = std::make_shared<Replayable>();
  objective->to(counted_device());
  objective->change_loss = [&](const at::Tensor& loss, const StepInfo&) {
    clock += 2;  // launched by the host
    return loss;
  };
  auto source = std::make_unique<MemorySource>(26, 8, 8);
  source->before_next = [&] { clock += 0.5; };
  RunOptions options = tiny_options();
  options.train.cuda_graph = GraphChoice::on;
  Trial trial(objective, std::move(source), options, recorded_graphs());
  trial.make_short_steps();
  CHECK(trial.images_per_second(2, [&] { return clock; }) == 16);
}

TEST_CASE("a step's memory is what weights hold and what images add") {
  tune_allocator();
  Tried few, many;
  Trial small = few.trial(2), large = many.trial(8);
  small.make_short_steps();
  large.make_short_steps();
  const Trial::Need a = small.main_memory(), b = large.main_memory();
  CHECK(a.fixed > 0);
  CHECK(a.per_image > 0);
  // A block is rounded up, and gradients come on top: for few images they count more.
  CHECK(b.per_image <= 1.1 * a.per_image);
  CHECK(b.per_image > 1000);
}

TEST_CASE("what can't be trained is refused before a step") {
  Tried tried;
  RunOptions options = tiny_options();
  CHECK_THROWS_AS(Trial(tried.objective, std::make_unique<MemorySource>(5, 8, 8), options),
                  UsageError);
}
