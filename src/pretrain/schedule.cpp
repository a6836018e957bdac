#include "pretrain/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "error.h"

namespace previt {
namespace {

/// From `high` at 0 to `low` at 1 along half a cosine.
double half_cosine(double high, double low, double progress) {
  return low + (high - low) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

// One cycle of timm's cosine; past its end the rate stays where it ended.
double timm_cycle(double high, double low, double progress) {
  return progress < 1 ? half_cosine(high, low, progress) : low;
}

int64_t steps_of(double epochs, int64_t steps, const StepInfo& info) {
  return steps > 0 ? steps : std::llround(epochs * static_cast<double>(info.steps_per_epoch));
}

}  // namespace

Schedule constant_schedule(double value) {
  return [=](const StepInfo&) { return value; };
}

Schedule mae_schedule(double base, double end, double warmup_epochs) {
  return [=](const StepInfo& info) {
    const double epoch = info.epoch();
    if (epoch < warmup_epochs) return base * epoch / warmup_epochs;
    const double decay_epochs = static_cast<double>(info.epochs) - warmup_epochs;
    return half_cosine(base, end, (epoch - warmup_epochs) / decay_epochs);
  };
}

double CosineTable::at(int64_t step, int64_t total_steps) const {
  if (step < warmup_steps) {
    // As numpy's linspace, which includes both ends.
    const auto gaps = static_cast<double>(std::max<int64_t>(warmup_steps - 1, 1));
    return start + (base - start) * static_cast<double>(step) / gaps;
  }
  const auto cosine_steps = static_cast<double>(total_steps - warmup_steps);
  return half_cosine(base, end, static_cast<double>(step - warmup_steps) / cosine_steps);
}

Schedule table_schedule(
    double base, double end, double start, double warmup_epochs, int64_t warmup_steps) {
  return [=](const StepInfo& info) {
    const CosineTable table{base, end, start, steps_of(warmup_epochs, warmup_steps, info)};
    return table.at(info.step, info.total_steps);
  };
}

Schedule timm_schedule(
    double base, double end, double start, double warmup_epochs, int64_t warmup_steps) {
  return [=](const StepInfo& info) {
    const auto warmup = static_cast<double>(steps_of(warmup_epochs, warmup_steps, info));
    const auto step = static_cast<double>(info.step);
    if (step < warmup) return start + step * (base - start) / warmup;
    return timm_cycle(base, end, step / static_cast<double>(info.total_steps));
  };
}

Schedule deit_schedule(double base, double end, double start, double warmup_epochs) {
  return [=](const StepInfo& info) {
    if (warmup_epochs > static_cast<double>(info.epochs)) {
      return start + info.epoch() * (base - start) / warmup_epochs;
    }
    const auto epoch = static_cast<double>(std::max<int64_t>(info.whole_epoch() - 1, 0));
    if (epoch < warmup_epochs) return start + epoch * (base - start) / warmup_epochs;
    return timm_cycle(base, end, epoch / static_cast<double>(info.epochs));
  };
}

Schedule multi_step_schedule(double base,
                             double start,
                             double warmup_epochs,
                             int64_t warmup_steps,
                             std::vector<double> epochs,
                             double decay) {
  return [=, epochs = std::move(epochs)](const StepInfo& info) {
    const auto warmup = static_cast<double>(steps_of(warmup_epochs, warmup_steps, info));
    const auto step = static_cast<double>(info.step);
    if (step < warmup) return start + step * (base - start) / warmup;
    const auto past = std::count_if(
        epochs.begin(), epochs.end(), [&](double epoch) { return info.epoch() >= epoch; });
    return base * std::pow(decay, static_cast<double>(past));
  };
}

Schedule per_epoch_schedule(double base, double warmup_epochs) {
  return [=](const StepInfo& info) {
    const auto epoch = static_cast<double>(info.whole_epoch());
    const double cosine = half_cosine(1, 0, epoch / static_cast<double>(info.epochs));
    return base * (warmup_epochs > 0 ? std::min((epoch + 1) / warmup_epochs, cosine) : cosine);
  };
}

double peak_lr(const RunOptions& options) {
  const OptimizerOptions& o = options.optimizer;
  if (o.base_batch <= 0) return o.base_lr;
  const auto batch = static_cast<double>(options.train.batch);
  return o.lr_scaling == LrScaling::sqrt ? o.base_lr * std::sqrt(batch / o.base_batch)
                                         : o.base_lr * batch / o.base_batch;
}

Schedule lr_schedule(const RunOptions& options) {
  const double peak = peak_lr(options);
  const ScheduleOptions& s = options.schedule;
  switch (s.kind) {
    case ScheduleKind::mae:
      return mae_schedule(peak, s.min_lr, s.warmup_epochs);
    case ScheduleKind::table:
      return table_schedule(peak, s.min_lr, s.warmup_lr, s.warmup_epochs, s.warmup_steps);
    case ScheduleKind::timm:
      return timm_schedule(peak, s.min_lr, s.warmup_lr, s.warmup_epochs, s.warmup_steps);
    case ScheduleKind::deit:
      return deit_schedule(peak, s.min_lr, s.warmup_lr, s.warmup_epochs);
    case ScheduleKind::steps:
      return multi_step_schedule(
          peak, s.warmup_lr, s.warmup_epochs, s.warmup_steps, s.decay_epochs, s.decay_rate);
    case ScheduleKind::per_epoch:
      return per_epoch_schedule(peak, s.warmup_epochs);
    case ScheduleKind::constant:
      break;
  }
  return constant_schedule(peak);
}

std::string lr_warning(const RunOptions& options, const StepInfo& run) {
  const Schedule rate = lr_schedule(options);
  double highest = 0;
  StepInfo info = run;
  for (info.step = 0; info.step < run.total_steps; ++info.step) {
    highest = std::max(highest, rate(info));
  }
  const ScheduleOptions& s = options.schedule;
  const bool by_steps = s.kind == ScheduleKind::table || s.kind == ScheduleKind::timm ||
                        s.kind == ScheduleKind::steps;
  const char* key =
      by_steps && s.warmup_steps > 0 ? "schedule.warmup_steps" : "schedule.warmup_epochs";
  if (highest == 0 && options.optimizer.base_lr > 0) {
    fail_usage(
        "{}: the rate is 0 in all {} epochs; make the warm-up shorter, the run longer or "
        "schedule.warmup_lr larger",
        key,
        run.epochs);
  }
  const int64_t warmup = steps_of(s.warmup_epochs, by_steps ? s.warmup_steps : 0, run);
  if (s.kind == ScheduleKind::constant || warmup <= run.total_steps) return "";
  return fmt::format(
      "{}: the warm-up of {} steps is longer than the run of {}: the rate only rises, "
      "to {:.3g} of {:.3g}",
      key,
      warmup,
      run.total_steps,
      highest,
      peak_lr(options));
}

Schedule weight_decay_schedule(const OptimizerOptions& options) {
  if (options.weight_decay_end < 0) return constant_schedule(options.weight_decay);
  return table_schedule(options.weight_decay, options.weight_decay_end, 0, 0);
}

}  // namespace previt
