#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "error.h"
#include "files.h"
#include "pretrain/train/report.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"
#include "support/test_device.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

namespace fs = std::filesystem;

RunOptions long_options() {
  RunOptions options = tiny_options();
  options.train.micro_batch = 4;
  options.train.precision = Precision::bf16;  // stale copies of weights would show
  options.train.ema_decay = 0.9;
  options.schedule = {.kind = ScheduleKind::mae, .warmup_epochs = 1};
  options.output.checkpoint_epochs = 1;
  options.output.keep_last = 10;
  return options;
}

std::vector<nlohmann::json> metrics(const std::string& folder) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_whole_file(folder + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// What does not depend on the clock.
std::vector<nlohmann::json> timeless(std::vector<nlohmann::json> lines) {
  for (auto& line : lines) {
    line.erase("images_per_second");
    line.erase("data_wait");
  }
  return lines;
}

class OddObjective final : public TinyObjective {
 public:
  std::string odd_plan(int64_t epochs) const override {
    return fmt::format("tiny.epochs: {} are odd", epochs);
  }
};

/// Trains with noise on 26 images (3 steps of 8 an epoch, 2 images left out); a signal comes with
/// the micro-batch `stop_at`, if not negative.
int run(const std::string& folder, bool resume, int64_t stop_at = -1, int signal = SIGTERM) {
  const SameBitsGuard guard;
  TinyObjective objective(/*noise=*/true);
  objective.to(test_device());
  MemorySource source(26, 4, 8);
  int64_t calls = 0;
  source.before_next = [&] {
    if (calls++ == stop_at) std::raise(signal);
  };
  return train(objective, source, long_options(), folder, resume);
}

}  // namespace

TEST_CASE("a run leaves metrics, events, checkpoints and a report") {
  const TempFolder folder;
  REQUIRE(run(folder.path(), false) == 0);
  const auto lines = metrics(folder.path());
  REQUIRE(lines.size() == 6);  // at steps 2 and 3 of each epoch
  CHECK(lines.back()["step"] == 9);
  CHECK(lines.back()["epoch"] == 3);
  for (const char* key :
       {"loss", "lr", "images_per_second", "data_wait", "grad_norm", "feature_mean"}) {
    CHECK(lines.back().contains(key));
  }
  CHECK(lines.back()["loss"] < lines.front()["loss"]);
  CHECK(list_checkpoints(folder.path()).size() == 3);
  CHECK_THAT(read_whole_file(folder.path() + "/report.html"), ContainsSubstring("<svg"));
  CHECK_THAT(read_whole_file(folder.path() + "/log.txt"),
             ContainsSubstring("done after step 9 of 9"));
  const Checkpoint saved = newest_checkpoint(folder.path());
  CHECK(saved.backbone.contains("blocks.0.attn.qkv.weight"));
  CHECK(saved.training.at("objective.moves").item<double>() == 9);
  CHECK(saved.backbone_metadata.contains("arch"));
}

TEST_CASE("a stopped and resumed run ends as an undisturbed one, bit for bit") {
  const TempFolder whole;
  REQUIRE(run(whole.path(), false) == 0);

  const TempFolder stopped;
  // In the middle of a step, of an epoch and of a metrics interval: that step is finished and
  // saved.
  CHECK(run(stopped.path(), false, 7, SIGTERM) == 143);
  CHECK(list_checkpoints(stopped.path()).front().ends_with("step_00000004"));
  CHECK(run(stopped.path(), true, 3, SIGINT) == 130);
  CHECK(run(stopped.path(), true) == 0);
  CHECK(same_checkpoint(newest_checkpoint(whole.path()), newest_checkpoint(stopped.path())));
  CHECK(timeless(metrics(whole.path())) == timeless(metrics(stopped.path())));
}

TEST_CASE("a run killed after its last checkpoint does the lost steps again") {
  const TempFolder whole;
  REQUIRE(run(whole.path(), false) == 0);
  const TempFolder killed;
  REQUIRE(run(killed.path(), false) == 0);
  fs::remove_all(list_checkpoints(killed.path()).front());  // back at step 6, metrics are at 9
  CHECK(run(killed.path(), true) == 0);
  CHECK(same_checkpoint(newest_checkpoint(whole.path()), newest_checkpoint(killed.path())));
  CHECK(timeless(metrics(whole.path())) == timeless(metrics(killed.path())));
}

TEST_CASE("a folder that holds a run is not written over") {
  const TempFolder folder;
  REQUIRE(run(folder.path(), false) == 0);
  try {
    run(folder.path(), false);
    FAIL("not refused");
  } catch (const UsageError& e) {
    CHECK_THAT(std::string(e.what()), ContainsSubstring("--resume"));
    CHECK_THAT(std::string(e.what()), ContainsSubstring("--out"));
  }
}

TEST_CASE("resuming refuses what would make it another model, and names the key") {
  const TempFolder folder;
  const auto with = [&](const Settings& settings, bool resume) {
    TinyObjective objective;
    MemorySource source(24, 8);
    RunRecord record;
    record.settings = settings;
    return train(objective, source, tiny_options(), folder.path(), resume, record);
  };
  REQUIRE(with({{"model.depth", "1"}, {"optimizer.base_lr", "0.1"}}, false) == 0);
  CHECK(with({{"model.depth", "1"}, {"optimizer.base_lr", "0.2"}}, true) == 0);
  CHECK_THROWS_WITH(with({{"model.depth", "2"}, {"optimizer.base_lr", "0.1"}}, true),
                    ContainsSubstring("model.depth is 1 in the run and 2 now"));
}

TEST_CASE("steps that are not finite in a row end the run, with the number and the checkpoint") {
  const TempFolder folder;
  TinyObjective objective;
  objective.change_loss = [](const at::Tensor& loss, const StepInfo& info) {
    const bool bad = info.step == 1 || info.step >= 4;  // step 1 alone is passed over
    return bad ? loss / 0.0 : loss;
  };
  MemorySource source(24, 8);
  RunOptions options = tiny_options();
  options.train.max_bad_steps = 3;
  options.output.checkpoint_epochs = 1;
  CHECK_THROWS_WITH(train(objective, source, options, folder.path(), false),
                    ContainsSubstring("step 7: ") && ContainsSubstring("3 times in a row") &&
                        ContainsSubstring("step_00000003"));  // 6 was saved among them
  CHECK(objective.moves.item<double>() == 3);
  CHECK(metrics(folder.path())[1]["skipped_steps"] == 1);
}

TEST_CASE("evaluation joins the epoch's line, and the best epoch is kept") {
  const TempFolder folder;
  TinyObjective objective;
  MemorySource source(24, 8);
  TrainCallbacks callbacks;
  callbacks.best_metric = "top1";
  callbacks.evaluate = [&](int64_t epoch) -> std::map<std::string, double> {
    CHECK_FALSE(objective.is_training());
    return {{"top1", epoch == 2 ? 0.9 : 0.5}};
  };
  callbacks.extend_report = [](Report& report) {
    report.add_table("Per class", {"a"}, {{"1 < 2"}});
    return true;
  };
  callbacks.encode_png = [](const at::Tensor&) { return std::string("png"); };
  REQUIRE(train(objective, source, tiny_options(), folder.path(), false, {}, callbacks) == 0);
  CHECK(objective.is_training());
  const auto lines = metrics(folder.path());
  CHECK_FALSE(lines[0].contains("top1"));
  CHECK(lines[3]["top1"] == 0.9);
  CHECK(newest_checkpoint(folder.path() + "/best").meta.at("step") == 6);
  CHECK_THAT(read_whole_file(folder.path() + "/report.html"), ContainsSubstring("1 &lt; 2"));
}

TEST_CASE("what an objective finds odd about a run is a warning in its log") {
  const TempFolder folder;
  OddObjective objective;
  MemorySource source(24, 8);
  REQUIRE(train(objective, source, tiny_options(), folder.path(), false) == 0);
  CHECK_THAT(read_whole_file(folder.path() + "/log.txt"),
             ContainsSubstring("warning: tiny.epochs: 3 are odd"));
}

TEST_CASE("less data than a batch is a usage error, or one small step") {
  const TempFolder folder;
  TinyObjective objective;
  MemorySource source(5, 8);
  RunOptions options = tiny_options();
  CHECK_THROWS_AS(train(objective, source, options, folder.path(), false), UsageError);
  options.train.drop_last = false;
  CHECK(train(objective, source, options, folder.path(), false) == 0);
  CHECK(metrics(folder.path()).back()["step"] == 3);
}

TEST_CASE("a source that cuts its epochs otherwise than the run is refused") {
  const TempFolder folder;
  TinyObjective objective;
  MemorySource source(26, 4);  // all images, of which steps of 8 leave two out
  CHECK_THROWS_WITH(train(objective, source, long_options(), folder.path(), false),
                    "the source gives 26 images an epoch in batches of 4, the run takes 24 in "
                    "batches of 4");
}
