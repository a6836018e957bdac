// Steps that are not finite: what a run keeps, where it goes on, how it ends.
#include <csignal>
#include <filesystem>
#include <limits>

#include "error.h"
#include "files.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// 3 epochs of 3 steps, a checkpoint after each, and only the newest kept.
RunOptions options() {
  RunOptions options = tiny_options();
  options.train.max_bad_steps = 100;
  options.output.checkpoint_epochs = 1;
  options.output.keep_last = 1;
  return options;
}

// The steps from `first` to `last` are not finite.
std::function<at::Tensor(const at::Tensor&, const StepInfo&)> bad(int64_t first,
                                                                  int64_t last = 99) {
  return [=](const at::Tensor& loss, const StepInfo& info) {
    return info.step >= first && info.step <= last ? loss * kNan : loss;
  };
}

int run(TinyObjective& objective, const std::string& folder, bool resume = false) {
  MemorySource source(24, 8);
  return train(objective, source, options(), folder, resume);
}

// The update of step `broken` overflows.
struct Overflowing final : TinyObjective {
  explicit Overflowing(int64_t broken) : broken(broken) {}
  void after_optimizer_step(const StepInfo& info) override {
    TinyObjective::after_optimizer_step(info);
    const torch::NoGradGuard no_grad;
    if (info.step == broken) weight[0][0] = std::numeric_limits<float>::infinity();
  }
  int64_t broken;
};

std::string report(const std::string& folder) { return read_whole_file(folder + "/report.html"); }

}  // namespace

TEST_CASE("the checkpoint before stays until a step has tried the newest one") {
  const TempFolder folder;
  TinyObjective objective;
  objective.change_loss = bad(6);  // as if the update of the step before had ruined the weights
  CHECK_THROWS_AS(run(objective, folder.path()), Error);
  CHECK(list_checkpoints(folder.path()) ==
        std::vector<std::string>{step_folder(folder.path(), 6), step_folder(folder.path(), 3)});
}

TEST_CASE("what is saved among steps left out doesn't push out the checkpoint before them") {
  const TempFolder folder, whole;
  TinyObjective objective;
  objective.change_loss = bad(3);
  CHECK_THROWS_WITH(
      run(objective, folder.path()),
      ContainsSubstring("not finite in the last 6 of 9 steps") &&
          ContainsSubstring("the last good checkpoint is " + step_folder(folder.path(), 3)) &&
          ContainsSubstring("--resume") && ContainsSubstring("optimizer.base_lr"));
  CHECK(list_checkpoints(folder.path()) ==
        std::vector<std::string>{step_folder(folder.path(), 6), step_folder(folder.path(), 3)});
  CHECK_THAT(report(folder.path()), ContainsSubstring("not finished"));
  CHECK_THAT(report(folder.path()), ContainsSubstring("Something is wrong"));

  std::vector<std::string> warnings;
  CHECK(load_latest(folder.path(), warnings).meta.at("step") == 3);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("step_00000006: was saved while steps were left out"));

  // Once the reason is gone, the run ends as one that never had it.
  TinyObjective healed, undisturbed;
  CHECK(run(healed, folder.path(), true) == 0);
  CHECK(run(undisturbed, whole.path()) == 0);
  CHECK(same_checkpoint(newest_checkpoint(folder.path()), newest_checkpoint(whole.path())));
  CHECK(list_checkpoints(folder.path()).size() == 1);
}

TEST_CASE("a run stopped among steps left out goes on from before them") {
  const TempFolder folder;
  TinyObjective objective;
  objective.change_loss = bad(3);
  MemorySource source(24, 8);
  int64_t calls = 0;
  source.before_next = [&] {
    if (calls++ == 4) std::raise(SIGTERM);
  };
  CHECK(train(objective, source, options(), folder.path(), false) == 143);
  CHECK(list_checkpoints(folder.path()).front() == step_folder(folder.path(), 5));
  CHECK(newest_checkpoint(folder.path()).meta.at("step") == 3);
}

TEST_CASE("a run in which nothing was learned fails and says so") {
  const TempFolder folder;
  TinyObjective objective;
  objective.change_loss = bad(0);
  CHECK_THROWS_WITH(run(objective, folder.path()),
                    ContainsSubstring("nothing was learned") &&
                        ContainsSubstring("in all 9 steps") && ContainsSubstring("start again"));
  CHECK_THAT(report(folder.path()), ContainsSubstring("not finished"));
  // There is nothing better to go on from, and it is no different the second time.
  TinyObjective again;
  again.change_loss = bad(0);
  CHECK_THROWS_WITH(run(again, folder.path(), true), ContainsSubstring("in all 9 steps"));
}

TEST_CASE("a bad batch at the very end spoils nothing") {
  const TempFolder folder;
  TinyObjective objective;
  objective.change_loss = bad(8, 8);
  CHECK(run(objective, folder.path()) == 0);
  std::vector<std::string> warnings;
  CHECK(load_latest(folder.path(), warnings).meta.at("step") == 9);
  CHECK(warnings.empty());
  CHECK(objective.moves.item<double>() == 8);
}

TEST_CASE("weights that are not finite are never saved, and end the run") {
  const TempFolder folder;
  const int64_t broken = GENERATE(3, 5, 8);  // found by the next step, by a save, at the end
  Overflowing objective(broken);
  CHECK_THROWS_WITH(run(objective, folder.path()),
                    ContainsSubstring("the weights are not finite (objective.weight)") &&
                        ContainsSubstring(step_folder(folder.path(), broken == 8 ? 6 : 3)));
  for (const auto& saved : list_checkpoints(folder.path())) {
    CHECK(not_finite(load_checkpoint(saved)).empty());
  }
  CHECK_THAT(report(folder.path()), ContainsSubstring("not finished"));
}

TEST_CASE("an older checkpoint is used where the newest is not finite") {
  const TempFolder folder;
  Checkpoint good, broken;
  good.backbone = {{"w", torch::ones({2})}};
  broken.backbone = {{"w", torch::full({2}, kNan)}};
  save_checkpoint(folder.path(), 1, good);
  save_checkpoint(folder.path(), 2, broken);
  std::vector<std::string> warnings;
  CHECK(load_latest(folder.path(), warnings).meta.at("step") == 1);
  CHECK_THAT(warnings.at(0), ContainsSubstring("w is not finite"));
}

TEST_CASE("checkpoints in doubt don't count when old ones are removed") {
  const TempFolder folder;
  for (int64_t step = 1; step <= 6; ++step) {
    Checkpoint checkpoint;
    checkpoint.meta[kSkippedInARow] = step > 3 ? step : 0;
    save_checkpoint(folder.path(), step, checkpoint);
  }
  prune_checkpoints(folder.path(), {.newest = 6, .last = 2});
  const auto at = [&](int64_t step) { return step_folder(folder.path(), step); };
  CHECK(list_checkpoints(folder.path()) == std::vector<std::string>{at(6), at(3), at(2)});
  CHECK(newest_undoubted(folder.path(), 6) == at(3));
  Checkpoint recovered;
  save_checkpoint(folder.path(), 7, recovered);
  prune_checkpoints(folder.path(), {.newest = 7, .last = 2});
  CHECK(list_checkpoints(folder.path()) == std::vector<std::string>{at(7), at(3)});
}

TEST_CASE("the best takes no score that is not finite") {
  const TempFolder folder;
  TinyObjective objective;
  MemorySource source(24, 8);
  TrainCallbacks callbacks;
  callbacks.best_metric = "top1";
  callbacks.evaluate = [&](int64_t epoch) -> std::map<std::string, double> {
    return {{"top1", epoch == 3 ? kNan : 0.1 * static_cast<double>(epoch)},
            {"val_loss", epoch == 2 ? kNan : 1.0}};
  };
  REQUIRE(train(objective, source, options(), folder.path(), false, {}, callbacks) == 0);
  CHECK(newest_checkpoint(folder.path() + "/best").meta.at("step") == 3);
}
