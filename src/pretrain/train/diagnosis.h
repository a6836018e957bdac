#pragma once

#include <string>

#include "pretrain/objective.h"
#include "pretrain/train/averages.h"

namespace previt {

/// What an objective says is wrong with a run, of which the log tells each change.
class Diagnosis {
 public:
  /// Asks again, after a line of metrics. `next` is the step to come.
  void look(const Objective& objective, const Scalars& values, const StepInfo& next);
  void set(const std::string& problem) { found_ = problem; }
  const std::string& text() const { return found_; }  ///< "" if nothing is wrong

 private:
  std::string found_;
};

}  // namespace previt
