#include "pretrain/train/step_outcome.h"

#include <cmath>
#include <utility>

namespace previt {

void StepOutcome::take(const at::Tensor& numbers) {
  loss = numbers[0].item<double>();
  gradient_norm = numbers[1].item<double>();
  skipped = !std::isfinite(loss) || !std::isfinite(gradient_norm);
}

QueuedStep::QueuedStep(StepOutcome known, std::function<at::Tensor()> numbers)
    : known_(std::move(known)), numbers_(std::move(numbers)) {}

StepOutcome QueuedStep::outcome() const {
  StepOutcome all = known_;
  all.take(numbers_());
  return all;
}

}  // namespace previt
