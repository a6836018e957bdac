#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// A value per optimizer step: rate, weight decay, teacher momentum, temperature.
using Schedule = std::function<double(const StepInfo&)>;

Schedule constant_schedule(double value);

/// mae:util/lr_sched.py. With e = epochs done (fractional): base · e / warmup, then
/// end + (base - end) · ½ (1 + cos(π (e - warmup) / (epochs - warmup))).
Schedule mae_schedule(double base, double end, double warmup_epochs);

/// cosine_scheduler of DINO, iBOT, BEiT and DINOv2 (dino:utils.py): over the first `warmup_steps`
/// steps from start to base, both included, then end + ½ (base - end) (1 + cos(π i / n)) for each
/// `i < n`. So `end` is never reached.
struct CosineTable {
  double base = 0, end = 0, start = 0;
  int64_t warmup_steps = 0;
  double at(int64_t step, int64_t total_steps) const;
};
Schedule table_schedule(
    double base, double end, double start, double warmup_epochs, int64_t warmup_steps = 0);

/// timm's CosineLRScheduler per update (SimMIM): linear from start, then the cosine at the whole
/// step number, as if there had been no warm-up.
Schedule timm_schedule(
    double base, double end, double start, double warmup_epochs, int64_t warmup_steps = 0);

/// timm's CosineLRScheduler as DeiT steps it: after epoch e, with e. So epoch e trains at the rate
/// of e - 1, and the first two at `start` (deit:main.py). If the warm-up is longer than the run, it
/// rises step by step: a short run would stay at `start`.
Schedule deit_schedule(double base, double end, double start, double warmup_epochs);

/// Linear from start over the warm-up, then base · decay ^ (how many of `epochs` are past), as
/// PyTorch's MultiStepLR: timm's MultiStepLRScheduler per update (SimMIM).
Schedule multi_step_schedule(double base,
                             double start,
                             double warmup_epochs,
                             int64_t warmup_steps,
                             std::vector<double> epochs,
                             double decay);

/// Per whole epoch e: base · min((e + 1) / warmup, ½ (1 + cos(π e / epochs))) (IcarusWizard/MAE).
Schedule per_epoch_schedule(double base, double warmup_epochs);

/// The rate that a run's options describe.
Schedule lr_schedule(const RunOptions& options);
/// Says in words what is odd about the rate in a run: a warm-up that is longer than the run; "" if
/// nothing is. Throws UsageError if the rate is 0 throughout although base_lr isn't.
std::string lr_warning(const RunOptions& options, const StepInfo& run);
/// The weight decay that a run's options describe.
Schedule weight_decay_schedule(const OptimizerOptions& options);

/// base_lr × batch / base_batch, or its square root, or base_lr when base_batch is 0.
double peak_lr(const RunOptions& options);

}  // namespace previt
