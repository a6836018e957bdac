#include "parity/parity.h"
#include "pretrain/schedule.h"

namespace previt::parity {
namespace {

/// The schedule's values at `steps`.
at::Tensor values(const Schedule& schedule, StepInfo info, const std::vector<int64_t>& steps) {
  std::vector<double> all;
  for (const int64_t step : steps) {
    info.step = step;
    all.push_back(schedule(info));
  }
  return torch::tensor(all, torch::kFloat64);
}

std::vector<int64_t> first_steps(int64_t n) {
  std::vector<int64_t> steps(n);
  for (int64_t i = 0; i < n; ++i) steps[i] = i;
  return steps;
}

StepInfo run_of(int64_t epochs, int64_t steps_per_epoch) {
  StepInfo info;
  info.epochs = epochs;
  info.steps_per_epoch = steps_per_epoch;
  info.total_steps = epochs * steps_per_epoch;
  return info;
}

/// cosine_scheduler(base, final, epochs, iterations, warmup epochs, start[, warmup steps]) per row.
void check_cosine_tables(const Fixture& fixture, Check& check) {
  const at::Tensor rows = fixture.at("input.rows");
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto column = [&](int64_t c) { return rows[i][c].item<double>(); };
    const auto whole = [&](int64_t c) { return static_cast<int64_t>(column(c)); };
    const int64_t warmup_steps = rows.size(1) > 6 ? std::max<int64_t>(whole(6), 0) : 0;
    const Schedule schedule =
        table_schedule(column(0), column(1), column(5), column(4), warmup_steps);
    const std::string key = fmt::format("output.schedule_{}", i);
    const at::Tensor got =
        values(schedule, run_of(whole(2), whole(3)), first_steps(whole(2) * whole(3)));
    check.t4(key, got, fixture.at(key));
  }
}

}  // namespace

PARITY_CASE(mae_lr_sched) {
  const auto& configs = fixture.config.at("configs");
  for (size_t i = 0; i < configs.size(); ++i) {
    const auto& config = configs[i];
    const int64_t iterations = config.at("iters");
    std::vector<int64_t> steps;
    for (const int64_t epoch : config.at("epochs_listed")) {
      for (int64_t it = 0; it < iterations; ++it) steps.push_back(epoch * iterations + it);
    }
    const Schedule schedule =
        mae_schedule(config.at("lr"), config.at("min_lr"), config.at("warmup_epochs"));
    const std::string key = fmt::format("output.lr_{}", i);
    check.t4(
        key, values(schedule, run_of(config.at("epochs"), iterations), steps), fixture.at(key));
  }
}

PARITY_CASE(dino_schedules) { check_cosine_tables(fixture, check); }

PARITY_CASE(beit_schedules) { check_cosine_tables(fixture, check); }

PARITY_CASE(timm_cosine_lr) {
  const Schedule schedule = timm_schedule(fixture.number("base_lr"),
                                          fixture.number("lr_min"),
                                          fixture.number("warmup_lr_init"),
                                          0,
                                          fixture.integer("warmup_t"));
  const at::Tensor want = fixture.at("output.lr");
  const StepInfo info = run_of(1, fixture.integer("t_initial"));
  check.t4("output.lr", values(schedule, info, first_steps(want.numel())), want);
}

}  // namespace previt::parity
