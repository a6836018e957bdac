#include <filesystem>

#include "error.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/same_start.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/fake_ranks.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

RunOptions halves() {
  RunOptions options = tiny_options();
  options.train.micro_batch = 4;
  options.train.ema_decay = 0.9;
  options.optimizer.clip_grad = 0.5;
  return options;
}

StepInfo first_step() {
  StepInfo info;
  info.total_steps = 10;
  info.steps_per_epoch = 5;
  info.epochs = 2;
  return info;
}

/// A step of 8 images in two micro-batches, of which rank 1 has the second one. `weighted`: their
/// losses are means over 2 and 3 things.
struct OneStep {
  bool weighted = false;
  Reading reading = Reading::at_once;
  StepOutcome outcome = {};

  std::vector<at::Tensor> weights(RankNews news = {}) {
    TinyObjective objective(/*noise=*/true);
    if (weighted) {
      objective.weight_of = [](const StepInfo& info) {
        return 2 + static_cast<double>(info.micro_step);
      };
    }
    Stepper stepper(objective, halves(), reading);
    MemorySource source(24, 4, 8);
    source.seek(0, world().rank());
    outcome = stepper.step(first_step(), 8, [&] { return source.next(); }, [&] { return news; });
    return snapshot(objective);
  }
};

}  // namespace

TEST_CASE("two ranks make the step of one process with two micro-batches, bit for bit") {
  const bool weighted = GENERATE(false, true);
  const Reading reading = GENERATE(Reading::at_once, Reading::late);
  OneStep alone{weighted, reading};
  const auto expected = alone.weights();

  // Rank 1 first, as what it sends doesn't depend on rank 0 but for what that makes of the weights.
  std::vector<at::Tensor> of_second;
  {
    const double expected_weight = weighted ? 2 * 8 / 4 : 8;
    const FakeWorld two(1, 2, zeros, [&](const at::Tensor& t) { t.fill_(expected_weight); });
    OneStep{weighted, reading}.weights({.stop = 143, .wait = 2, .bad_samples = 3});
    of_second = two.sent();
  }
  size_t next = 0;
  const FakeWorld two(0, 2, [&](const at::Tensor&) { return of_second.at(next++); });
  OneStep first{weighted, reading};
  CHECK(same(first.weights({.wait = 1, .bad_samples = 4}), expected));
  CHECK(first.outcome.loss == alone.outcome.loss);
  CHECK(first.outcome.gradient_norm == alone.outcome.gradient_norm);
  CHECK(first.outcome.images == 8);
  CHECK(first.outcome.news.stop == 143);
  CHECK(first.outcome.news.wait == 2);
  CHECK(first.outcome.news.bad_samples == 7);
}

TEST_CASE("what several processes can't share is refused, with what they could") {
  const FakeWorld four(0, 4);
  TrainOptions train;
  train.batch = 30;
  CHECK_THROWS_WITH(train.require_shareable(),
                    ContainsSubstring("train.batch: 30") && ContainsSubstring("28 or 32"));
  train.batch = 3;
  CHECK_THROWS_WITH(train.require_shareable(), ContainsSubstring("; 4 can"));
  train.batch = 24;
  CHECK_NOTHROW(train.require_shareable());
  CHECK(train.micro() == 6);
  train.micro_batch = 4;
  CHECK_THROWS_WITH(train.require_shareable(),
                    ContainsSubstring("train.micro_batch: 4") && ContainsSubstring("3 does") &&
                        ContainsSubstring("16 or 32"));
  train.micro_batch = 24;  // at most so many
  CHECK_NOTHROW(train.require_shareable());
  CHECK(train.micro() == 6);
  train.drop_last = false;
  CHECK_THROWS_AS(train.require_shareable(), UsageError);
}

TEST_CASE("a rank whose settings are others than rank 0's ends the run") {
  class Second final : public Communicator {
   public:
    int64_t rank() const override { return 1; }
    int64_t size() const override { return 2; }
    using Communicator::broadcast;
    std::string broadcast(const std::string&) override {
      return R"({"model.depth": "2", "data.path": "there"})";
    }
  };
  const JoinedWorld joined(std::make_unique<Second>());
  CHECK_NOTHROW(require_same_settings({{"model.depth", "2"}, {"data.path", "here"}}));
  CHECK_THROWS_WITH(require_same_settings({{"model.depth", "3"}}),
                    "model.depth: is 3 on rank 1, but 2 on rank 0; give all processes the same");
}

TEST_CASE("a signal to another rank stops this one, which saves") {
  const TempFolder folder;
  TinyObjective objective;
  MemorySource source(24, 4, 8);
  constexpr int64_t kStopOfSecond = 5;
  const FakeWorld two(0, 2, [&](const at::Tensor& own) {
    at::Tensor others = own.clone();
    if (own.scalar_type() == torch::kFloat64) others[kStopOfSecond] = 143;
    return others;
  });
  CHECK(train(objective, source, halves(), folder.path(), false) == 143);
  CHECK(list_checkpoints(folder.path()).size() == 1);
}

TEST_CASE("ranks other than the first write nothing") {
  const TempFolder folder;
  const std::string run = folder.path() + "/run";
  TinyObjective objective;
  MemorySource source(24, 4, 8);
  const FakeWorld two(1, 2, same_again);
  CHECK(train(objective, source, halves(), run, false) == 0);
  CHECK_FALSE(std::filesystem::exists(run));
  CHECK(objective.moves.item<double>() == 9);
}

TEST_CASE("where another rank has no evaluation, this one doesn't wait for it in one") {
  class WithOther final : public Communicator {
   public:
    explicit WithOther(bool evaluates) : evaluates_(evaluates) {}
    int64_t size() const override { return 2; }
    void max(const at::Tensor& missing) override {
      if (!evaluates_ && missing.item<int64_t>() == 0) missing.fill_(1);
    }

   private:
    bool evaluates_;
  };
  const bool other_evaluates = GENERATE(true, false);
  const TempFolder folder;
  TinyObjective objective;
  MemorySource source(24, 4, 8);
  int64_t evaluations = 0;
  TrainCallbacks callbacks;
  callbacks.evaluate = [&](int64_t) -> std::map<std::string, double> {
    ++evaluations;
    return {{"top1", 1}};
  };
  const JoinedWorld two(std::make_unique<WithOther>(other_evaluates));
  CHECK(train(objective, source, halves(), folder.path(), false, {}, callbacks) == 0);
  CHECK(evaluations == (other_evaluates ? 3 : 0));
}
