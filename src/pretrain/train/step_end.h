#pragma once

#include <memory>
#include <vector>

#include "communicator.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/ema.h"
#include "pretrain/train/gradients.h"
#include "pretrain/train/optimizer.h"
#include "pretrain/train/step_outcome.h"

namespace previt {

/// When the host reads the loss and the norm of a step.
enum class Reading {
  at_once,  ///< before the update, about which it then decides
  late,     ///< when the next step is queued: the device decides about the update
};

/// The end of an optimizer step, from its gradients to moved weights: clipping, the guard against
/// numbers that aren't finite, optimizer, objective and average.
class StepEnd {
 public:
  /// What it works on, all of which must outlive it; `ema` may be null.
  struct Parts {
    Objective& objective;
    Optimizer& optimizer;
    Ema* ema;
    const OptimizerOptions& options;
    Communicator& ranks;
  };
  explicit StepEnd(const Parts& parts) : parts_(parts) {}
  virtual ~StepEnd() = default;

  virtual Reading reading() const = 0;
  /// `loss`: of the whole step, a scalar on the device, equal on all ranks. `known` has the rate.
  virtual QueuedStep make(const StepInfo& info,
                          const at::Tensor& loss,
                          double weight_decay,
                          StepOutcome known) = 0;
  /// Loss and norm, of which `known` takes what follows from them. Waits for the device.
  void look(const at::Tensor& loss, StepOutcome& known) const;

 protected:
  /// Loss and norm as rank 0 has them, [2] on the device `where`.
  at::Tensor numbers(const at::Tensor& loss, const Gradients& gradients, at::Device where) const;
  const Parts& parts() const { return parts_; }

 private:
  Parts parts_;
};

/// Throws Error for a late reading with an optimizer that can't leave out a step by itself.
std::unique_ptr<StepEnd> make_step_end(Reading reading, const StepEnd::Parts& parts);

}  // namespace previt
