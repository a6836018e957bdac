#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/weights/checkpoint.h"
#include "pretrain/run_options.h"

namespace previt {

/// What a run's best/ holds: the score that it was kept for, and the epochs done by then.
struct BestSaved {
  double score = 0, epoch = 0;
};
/// Nothing if there is no such checkpoint. Warns of one that is damaged, which counts as none.
std::optional<BestSaved> saved_best(const std::string& run_folder);

/// Saves the checkpoints of a run, and removes those that need not stay. Of several ranks the
/// first does so; the others only remember what there is.
class CheckpointKeeper {
 public:
  CheckpointKeeper(std::string run_folder, const OutputOptions& options, int64_t steps_per_epoch);

  /// Tells that the checkpoint after this step exists already.
  void resumed(int64_t steps_done) { newest_ = steps_done; }
  bool has(int64_t steps_done) const { return newest_ == steps_done; }
  /// `last`: no step follows.
  void save(int64_t steps_done, const Checkpoint& checkpoint, bool last);
  /// Tells that a step from the newest checkpoint's weights was good.
  void step_was_good();
  /// Saves into best/, in place of what is there.
  void save_best(int64_t steps_done, Checkpoint checkpoint) const;

 private:
  void prune() const;

  const std::string folder_;
  const OutputOptions options_;
  const int64_t steps_per_epoch_;
  const bool writes_;
  int64_t newest_ = -1;
  bool untried_ = false;  // no step was good since the newest one
};

}  // namespace previt
