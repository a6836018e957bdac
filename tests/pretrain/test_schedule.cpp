#include "error.h"
#include "pretrain/schedule.h"
#include "support/catch.h"

using namespace previt;

namespace {

StepInfo at_step(int64_t step) {
  StepInfo info;
  info.step = step;
  info.steps_per_epoch = 10;
  info.epochs = 100;
  info.total_steps = 1000;
  return info;
}

}  // namespace

TEST_CASE("the rate grows with the batch unless it is absolute") {
  RunOptions options;
  options.train.batch = 4096;
  CHECK(peak_lr(options) == Approx(2.4e-3));
  options.optimizer.lr_scaling = LrScaling::sqrt;
  CHECK(peak_lr(options) == Approx(6e-4));
  options.optimizer.base_batch = 0;
  CHECK(peak_lr(options) == 1.5e-4);
}

TEST_CASE("every kind of schedule has its shape") {
  RunOptions options;
  options.optimizer.base_batch = 0;
  options.optimizer.base_lr = 1;
  options.schedule.warmup_epochs = 10;
  options.schedule.min_lr = 0.1;

  options.schedule.kind = ScheduleKind::mae;
  CHECK(lr_schedule(options)(at_step(0)) == 0);
  CHECK(lr_schedule(options)(at_step(50)) == Approx(0.5));
  CHECK(lr_schedule(options)(at_step(550)) == Approx(0.55));

  options.schedule.kind = ScheduleKind::table;
  CHECK(lr_schedule(options)(at_step(99)) == 1);
  CHECK(lr_schedule(options)(at_step(100)) == 1);
  options.schedule.warmup_steps = 5;
  CHECK(lr_schedule(options)(at_step(4)) == 1);
  options.schedule.warmup_steps = 0;

  // In whole epochs, and the cosine begins at the start: e = 55.
  options.schedule.kind = ScheduleKind::per_epoch;
  CHECK(lr_schedule(options)(at_step(9)) == Approx(0.1));
  CHECK(lr_schedule(options)(at_step(559)) == Approx(0.5 * (1 + std::cos(M_PI * 0.55))));

  // Stepped after the epoch: two epochs at warmup_lr, and the peak's cosine one epoch late.
  options.schedule.kind = ScheduleKind::deit;
  options.schedule.warmup_lr = 0.05;
  CHECK(lr_schedule(options)(at_step(0)) == 0.05);
  CHECK(lr_schedule(options)(at_step(19)) == 0.05);
  CHECK(lr_schedule(options)(at_step(20)) == Approx(0.05 + 0.95 / 10));
  CHECK(lr_schedule(options)(at_step(109)) == Approx(0.05 + 9 * 0.95 / 10));
  CHECK(lr_schedule(options)(at_step(560)) ==
        Approx(0.1 + 0.9 * 0.5 * (1 + std::cos(M_PI * 0.55))));

  // One cycle: past its end it doesn't rise again.
  for (const auto kind : {ScheduleKind::timm, ScheduleKind::deit}) {
    options.schedule.kind = kind;
    CHECK(lr_schedule(options)(at_step(990)) > 0.1);
    CHECK(lr_schedule(options)(at_step(1010)) == 0.1);
    CHECK(lr_schedule(options)(at_step(1700)) == 0.1);
  }

  options.schedule.kind = ScheduleKind::steps;
  options.schedule.decay_epochs = {40, 70};
  options.schedule.warmup_lr = 0.2;
  CHECK(lr_schedule(options)(at_step(50)) == Approx(0.6));
  CHECK(lr_schedule(options)(at_step(399)) == 1);
  CHECK(lr_schedule(options)(at_step(400)) == Approx(0.1));
  CHECK(lr_schedule(options)(at_step(999)) == Approx(0.01));

  options.schedule.kind = ScheduleKind::constant;
  CHECK(lr_schedule(options)(at_step(999)) == 1);
}

TEST_CASE("a warm-up longer than the run still gives a rate, and is told") {
  RunOptions options;
  options.optimizer.base_batch = 0;
  options.optimizer.base_lr = 1;
  StepInfo run{.total_steps = 20, .steps_per_epoch = 10, .epochs = 2};
  for (const auto kind : {ScheduleKind::mae,
                          ScheduleKind::table,
                          ScheduleKind::timm,
                          ScheduleKind::deit,
                          ScheduleKind::steps,
                          ScheduleKind::per_epoch}) {
    INFO(name_of(kind));
    options.schedule = {.kind = kind, .warmup_epochs = 5};
    StepInfo last = run;
    last.step = 19;
    CHECK(lr_schedule(options)(last) == Approx(0.4).epsilon(0.06));
    CHECK_THAT(lr_warning(options, run),
               ContainsSubstring("schedule.warmup_epochs: ") && ContainsSubstring("of 50 steps") &&
                   ContainsSubstring("the run of 20"));
    options.schedule.warmup_epochs = 2;
    if (kind != ScheduleKind::deit) CHECK(lr_warning(options, run).empty());
  }
  options.schedule = {.kind = ScheduleKind::table, .warmup_epochs = 0, .warmup_steps = 30};
  CHECK_THAT(lr_warning(options, run), ContainsSubstring("schedule.warmup_steps: "));
  options.schedule = {.kind = ScheduleKind::constant, .warmup_epochs = 40};
  CHECK(lr_warning(options, run).empty());
}

TEST_CASE("a rate that is 0 in the whole run is refused, unless it is asked for") {
  RunOptions options;
  options.schedule = {.kind = ScheduleKind::deit,
                      .warmup_epochs = 1};  // the first two epochs are at warmup_lr
  const StepInfo run{.total_steps = 20, .steps_per_epoch = 10, .epochs = 2};
  CHECK_THROWS_AS(lr_warning(options, run), UsageError);
  CHECK_THROWS_WITH(lr_warning(options, run), ContainsSubstring("the rate is 0 in all 2 epochs"));
  options.schedule.warmup_lr = 1e-6;
  CHECK(lr_warning(options, run).empty());
  options.schedule.warmup_lr = 0;
  options.optimizer.base_lr = 0;
  CHECK(lr_warning(options, run).empty());
}

TEST_CASE("weight decay is constant or rises along a cosine") {
  OptimizerOptions options;
  options.weight_decay = 0.04;
  CHECK(weight_decay_schedule(options)(at_step(500)) == 0.04);
  options.weight_decay_end = 0.4;
  CHECK(weight_decay_schedule(options)(at_step(0)) == Approx(0.04));
  CHECK(weight_decay_schedule(options)(at_step(500)) == Approx(0.22));
}
