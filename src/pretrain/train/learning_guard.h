#pragma once

#include <functional>
#include <string>

#include "error.h"
#include "models/weights/checkpoint.h"
#include "pretrain/run_options.h"
#include "pretrain/train/run_position.h"

namespace previt {

/// A run that can't learn any more. what() names the problem, the last good checkpoint, and what to
/// do.
class LostRun final : public Error {
 public:
  LostRun(const std::string& message, std::string problem)
      : Error(message), problem_(std::move(problem)) {}
  /// The problem alone, which the report shows.
  const std::string& problem() const { return problem_; }

 private:
  std::string problem_;
};

/// Ends a run that can't learn any more with a LostRun.
class LearningGuard {
 public:
  LearningGuard(std::string run_folder, const TrainOptions& options);

  /// Ends it if a tensor of rank 0 holds NaN or infinity; collective.
  void require_finite(const Checkpoint& weights, const RunPosition& at) const;
  /// Ends it once train.max_bad_steps steps in a row were left out.
  void require_few_skipped(const RunPosition& at) const;
  /// At the end of a run: ends it with a LostRun if no step was good. If only the last ones were
  /// not, they may have met a few bad batches, or the run is lost: `another_is_good` tells which.
  void require_learned(const RunPosition& at, const std::function<bool()>& another_is_good) const;

 private:
  [[noreturn]] void give_up(const std::string& problem, const RunPosition& at) const;

  const std::string folder_;
  const TrainOptions options_;
};

}  // namespace previt
