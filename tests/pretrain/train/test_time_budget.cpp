#include <map>

#include "error.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/train/time_budget.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a duration is hours, minutes and seconds, and nothing else") {
  const auto seconds = [](const std::string& text) {
    return parse_duration(text, "--time-budget");
  };
  CHECK(seconds("90s") == 90);
  CHECK(seconds("30m") == 1800);
  CHECK(seconds("2h") == 7200);
  CHECK(seconds("1h30m") == 5400);
  CHECK(seconds("1h0m5s") == 3605);
  CHECK(seconds("48h") == 172800);
  for (const std::string wrong :
       {"",     "2",         "h",    "2x",    "2 h", "-1h",  "1.5h",        "30m1h",
        "1h1h", "2h ",       " 2h",  "1h30",  "0s",  "0h0m", "9999999999h", "1h\n",
        "2H",   "two hours", "1e3s", "0x10s", "+1h"}) {
    INFO(wrong);
    CHECK_THROWS_MATCHES(
        seconds(wrong),
        UsageError,
        Catch::Message("--time-budget: " + wrong + " is no time like 2h, 30m, 90s or 1h30m"));
  }
}

TEST_CASE("a time takes as many epochs as fit, with their evaluations") {
  RunTime time{.images_per_second = 10, .images_in_epoch = 100};  // 10 s an epoch
  CHECK(time.seconds(3) == 30);
  CHECK(time.epochs_within(30) == 3);
  CHECK(time.epochs_within(29.9) == 2);
  CHECK(time.epochs_within(9.9) == 0);
  CHECK(time.epochs_within(-5) == 0);

  time.images_scored = 50;  // 5 s each, after epochs 4, 8 … and at the end
  time.score_epochs = 4;
  CHECK(time.seconds(3) == 35);
  CHECK(time.seconds(4) == 50);
  CHECK(time.epochs_within(34.9) == 2);
  CHECK(time.epochs_within(35) == 3);
  CHECK(time.epochs_within(49.9) == 3);
  CHECK(time.epochs_within(14.9) == 0);
  for (int64_t epochs = 1; epochs < 300; ++epochs) {
    CHECK(time.epochs_within(time.seconds(epochs)) == epochs);
    CHECK(time.epochs_within(time.seconds(epochs) - 0.1) == epochs - 1);
  }
}

TEST_CASE("schedules shrink and grow with the epochs; what is seldom done stays") {
  const auto scaled = [](int64_t from, int64_t to) {
    auto recipe = Recipe::parse(
        "objective: dino\n"
        "schedule: {warmup_epochs: 10, warmup_steps: 7, decay_epochs: [50, 90]}\n"
        "dino: {warmup_teacher_temp_epochs: 30, freeze_last_layer: 2}\n"
        "train: {epochs: 100}\n"
        "output: {checkpoint_epochs: 20, preview_epochs: 0}\n"
        "knn: {epochs: 5}\n");
    PretrainRun run = PretrainRun::read(recipe);
    EpochScale scale(from, to);
    visit(scale, run.options);
    run.objective->visit_options(scale);
    const Settings all = run.settings();
    return std::map<std::string, std::string>(all.begin(), all.end());
  };
  auto half = scaled(100, 50);
  CHECK(half["schedule.warmup_epochs"] == "5");
  CHECK(half["schedule.warmup_steps"] == "7");
  CHECK(half["schedule.decay_epochs"] == "[25, 45]");
  CHECK(half["dino.warmup_teacher_temp_epochs"] == "15");
  CHECK(half["dino.freeze_last_layer"] == "2");
  CHECK(half["train.epochs"] == "100");  // set by whoever scales
  CHECK(half["output.checkpoint_epochs"] == "6.25");
  CHECK(half["output.preview_epochs"] == "0");
  CHECK(half["knn.epochs"] == "5");

  auto triple = scaled(100, 300);
  CHECK(triple["schedule.warmup_epochs"] == "30");
  CHECK(triple["dino.warmup_teacher_temp_epochs"] == "90");
  CHECK(triple["output.checkpoint_epochs"] == "20");

  CHECK(scaled(100, 3)["dino.freeze_last_layer"] == "2");
  CHECK(scaled(100, 2)["dino.freeze_last_layer"] == "1");  // else it would never be trained
  CHECK(scaled(100, 1)["dino.freeze_last_layer"] == "0");

  auto tiny = scaled(1000000, 10);  // still values that recipes may have
  CHECK(tiny["schedule.warmup_epochs"] == "0.01");
  CHECK(tiny["output.checkpoint_epochs"] == "1.25");
}

TEST_CASE("a time budget decides what counts epochs, but not how often features are scored") {
  CHECK(decided_by_budget("train.epochs"));
  CHECK(decided_by_budget("schedule.warmup_epochs"));
  CHECK(decided_by_budget("ibot.mask_start_epoch"));
  CHECK(decided_by_budget("output.checkpoint_epochs"));
  CHECK(decided_by_budget("dino.freeze_last_layer"));
  CHECK_FALSE(decided_by_budget("knn.epochs"));
  CHECK_FALSE(decided_by_budget("train.batch"));
}
