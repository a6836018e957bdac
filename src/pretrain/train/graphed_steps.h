#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "device_graph.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// Steps of one micro-batch whose forward and backward pass a device records once and replays, so
/// that the host launches one thing instead of hundreds (train.cuda_graph). The first steps are
/// made as ever, where they can be recorded. Then some are made both ways: a replay must give the
/// same numbers, and with `auto` save 3 % of the time. Otherwise, and where something can't be
/// recorded, steps are made as ever from there on; the log says it.
///
/// What the replay reads lies in memory that stays: a batch of its own, weights, their copies and
/// gradients. When other parameters are trained, it is recorded and tried anew, also where it saved
/// no time before.
class GraphedSteps {
 public:
  /// The passes over a batch as its source gives it: gradients are left in the parameters, the loss
  /// of the result is detached.
  using Passes = std::function<StepResult(const Batch&)>;

  /// Null, which the log explains on a device, where these steps can't be replayed. The objective
  /// must outlive it, with its weights in an arena.
  static std::unique_ptr<GraphedSteps> make(const Objective& objective,
                                            const RunOptions& options,
                                            at::Device device,
                                            const DeviceGraphMaker& graphs);

  /// Makes the passes of one step, or replays them. The parameters have no gradients before.
  /// `seed` seeds torch's generators for this step. What it gives is overwritten by the next step.
  StepResult step(const Batch& batch, const std::function<void()>& seed, const Passes& passes);

  /// Whether it is decided how steps are made.
  bool decided() const { return !possible_ || !pays_ || tried_ == kTrials; }
  bool replays() const { return recorded_ && decided(); }

 private:
  static constexpr int kRehearsals = 2, kTrials = 5;

  GraphedSteps(const Objective& objective,
               GraphChoice choice,
               at::Device device,
               DeviceGraphMaker graphs);
  StepResult attempt(const Batch& batch, const std::function<void()>& seed, const Passes& passes);
  void take_in(const Batch& given);
  void heed_what_is_trained();
  void record(const std::function<void()>& seed, const Passes& passes);
  StepResult tried_both_ways(const std::function<void()>& seed, const Passes& passes);
  // False if nothing can be said of this step: its loss or gradient isn't finite, or it has none.
  bool compare(const StepResult& plain, const std::vector<at::Tensor>& gradients) const;
  void decide();
  void drop_graph();
  double seconds(const std::function<void()>& work) const;
  std::vector<at::Tensor> gradients() const;
  void set_gradients(const std::vector<at::Tensor>& gradients);

  const Objective& objective_;
  std::vector<at::Tensor> parameters_;
  const GraphChoice choice_;
  const at::Device device_;
  const DeviceGraphMaker graphs_;

  bool possible_ = true;  // no step has failed
  bool pays_ = true;      // as far as it was tried
  std::unique_ptr<DeviceGraph> graph_;
  int rehearsed_ = 0, tried_ = 0;
  int unclear_ = 0;  // trials that showed nothing
  bool recorded_ = false;
  double plain_ = 0, replayed_ = 0;  // seconds, the fastest of the trials
  Batch own_;                        // what the graph reads
  std::vector<bool> trained_;        // of the parameters, when it was recorded
  StepResult result_;                // in the graph's memory, as are these:
  std::vector<at::Tensor> gradients_;
};

}  // namespace previt
