// A resumed fine-tuning: what it calls the best network, and which teacher it takes.
#include <filesystem>

#include "error.h"
#include "support/catch.h"
#include "support/finetune_command.h"
#include "support/same_checkpoint.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

const Words kOften = {"--set", "output.checkpoint_epochs=1"};

// Gives the network in best/ another score, as if the part of the run after its last checkpoint had
// found it.
void score_best(const std::string& run, double score, double epoch) {
  const std::string folder = run + "/best";
  Checkpoint best = newest_checkpoint(folder);
  const int64_t step = best.meta.at("step");
  best.meta["best"] = score;
  best.meta["epoch"] = epoch;
  fs::remove_all(folder);
  save_checkpoint(folder, step, best);
}

}  // namespace

TEST_CASE("a resumed run's result is about the network that is in best/") {
  const TempFolder temp;
  const std::string run = trained(temp.path() + "/run", kOften);
  const auto resume = [&] {
    fs::remove_all(list_checkpoints(run).front());  // back at the first epoch's end
    trained(run, kOften + Words{"--resume"});
  };
  SECTION("a better one of the part that is undone stays") {
    score_best(run, 200, 1.5);
    const Checkpoint before = newest_checkpoint(run + "/best");
    resume();
    CHECK(result_in(run)["best_top1"] == 200);
    CHECK(result_in(run)["best_epoch"] == 1.5);
    CHECK(same_checkpoint(newest_checkpoint(run + "/best"), before));
  }
  SECTION("a worse one makes place") {
    score_best(run, -1, 1.5);
    resume();
    const Checkpoint best = newest_checkpoint(run + "/best");
    CHECK(best.meta.at("epoch") == 2);
    CHECK(result_in(run)["best_epoch"] == 2);
    CHECK(result_in(run)["best_top1"] == best.meta.at("best"));
  }
  SECTION("a damaged one is none") {
    fs::remove(list_checkpoints(run + "/best").front() + "/backbone.safetensors");
    resume();
    CHECK(newest_checkpoint(run + "/best").meta.at("epoch") == 2);
    CHECK(result_in(run)["best_epoch"] == 2);
  }
}

TEST_CASE("a distilled run is not resumed with another teacher") {
  const TempFolder temp;
  const std::string teacher = trained(temp.path() + "/teacher"), run = temp.path() + "/student";
  const Words distilled = settings(
      {"model.dist_token=true", "distillation.kind=hard", "distillation.teacher=" + teacher});
  trained(run, distilled);
  CHECK_NOTHROW(trained(run, distilled + Words{"--resume"}));
  fs::remove_all(teacher);
  trained(teacher, settings({"train.seed=1"}));
  CHECK_THROWS_WITH(trained(run, distilled + Words{"--resume"}),
                    ContainsSubstring("--resume: checksum of distillation.teacher is "));
}
