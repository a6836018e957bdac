#include "pretrain/train/diagnosis.h"

#include "log.h"

namespace previt {

void Diagnosis::look(const Objective& objective, const Scalars& values, const StepInfo& next) {
  const std::string found = objective.diagnose({values.begin(), values.end()}, next);
  if (found != found_ && !found.empty()) warn("step {}: {}", next.step, found);
  if (found.empty() && !found_.empty()) info("step {}: recovered", next.step);
  found_ = found;
}

}  // namespace previt
