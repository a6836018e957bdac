#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "pretrain/train/averages.h"

namespace previt {

/// What every rank says after its part of a step, and then what all of them have said.
struct RankNews {
  int stop = 0;             ///< exit code that a signal asks for (StopSignal); of all: the largest
  double wait = 0;          ///< seconds spent waiting for data; of all: those of the slowest
  int64_t bad_samples = 0;  ///< BatchSource::bad_samples; of all: the sum of what each met
};

/// What one optimizer step did, the same on all ranks but for `averages`.
struct StepOutcome {
  double loss = 0;
  double gradient_norm = 0;  ///< before clipping
  double lr = 0;
  int64_t images = 0;
  bool skipped = false;  ///< loss or gradients were not finite, and nothing was changed
  Averages averages;     ///< the objective's metrics, weighted by images; of this rank's images
  RankNews news;         ///< of all ranks

  /// Takes loss and norm, [2] on the host, and what follows from them.
  void take(const at::Tensor& numbers);
};

/// A step that the host has made. Its loss and norm may still be on their way from the device.
class QueuedStep {
 public:
  /// `numbers` waits for both: float [2] on the host.
  QueuedStep(StepOutcome known, std::function<at::Tensor()> numbers);

  const RankNews& news() const { return known_.news; }
  int64_t images() const { return known_.images; }
  /// Waits for the device, where it has to.
  StepOutcome outcome() const;

 private:
  StepOutcome known_;  // all but these
  std::function<at::Tensor()> numbers_;
};

}  // namespace previt
