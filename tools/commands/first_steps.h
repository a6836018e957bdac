#pragma once

#include <functional>
#include <memory>

#include "pretrain/pretrain_run.h"
#include "pretrain/train/trial.h"

namespace previt::cli {

/// Makes a trial of a run with these options. Its parts are made anew each time, and belong to it.
using MakeTrial = std::function<std::unique_ptr<Trial>(const RunOptions&)>;

/// What is asked of a run's first steps, beside a micro-batch that fits.
struct FirstSteps {
  double time_budget = 0;     ///< seconds that the run may take (--time-budget); 0: any time
  bool tell_time = false;     ///< say how long the run will take
  int64_t images_scored = 0;  ///< by each kNN score; 0: there are none
  bool in_main_memory = true;
  int64_t sharers = 1;                               ///< processes that share it
  std::function<double()> now = Trial::seconds_now;  ///< a clock
};

/// Makes the first steps of a run and throws them away, if something is to be learned from them:
///
/// - train.micro_batch, if it is `auto`: the whole batch, halved as long as memory runs out. In
///   main memory, where a system ends the process instead, it is estimated from a few images first.
/// - with a time budget train.epochs, and with it the keys that EpochScale names. Throws UsageError
///   if not even one epoch takes so little time.
///
/// Of several processes each makes such steps by itself, with its share of a batch, at the same
/// time as the others. Then all take the least of their micro-batches, and rank 0's speed.
///
/// Tells in a line each what was chosen and why. Draws from torch's generator, so it comes before
/// that is seeded.
void decide_by_first_steps(PretrainRun& run, const FirstSteps& asked, const MakeTrial& make);

}  // namespace previt::cli
