#include "pretrain/train/checkpoint_keeper.h"

#include <utility>
#include <vector>

#include "communicator.h"
#include "log.h"

namespace previt {
namespace {

constexpr const char* kBestFolder = "/best";

}  // namespace

std::optional<BestSaved> saved_best(const std::string& run_folder) {
  const std::string folder = run_folder + kBestFolder;
  if (list_checkpoints(folder).empty()) return std::nullopt;
  std::vector<std::string> warnings;
  try {
    const Checkpoint saved = load_latest(folder, warnings, CheckpointPart::backbone);
    return BestSaved{.score = saved.meta.at("best"), .epoch = saved.meta.at("epoch")};
  } catch (const std::exception& e) {
    log_warning(e.what());
    return std::nullopt;
  }
}

CheckpointKeeper::CheckpointKeeper(std::string run_folder,
                                   const OutputOptions& options,
                                   int64_t steps_per_epoch)
    : folder_(std::move(run_folder)),
      options_(options),
      steps_per_epoch_(steps_per_epoch),
      writes_(world().leads()) {}

void CheckpointKeeper::save(int64_t steps_done, const Checkpoint& checkpoint, bool last) {
  const Busy busy;
  if (writes_) save_checkpoint(folder_, steps_done, checkpoint);
  untried_ = !last;
  newest_ = steps_done;
  prune();
}

void CheckpointKeeper::step_was_good() {
  if (std::exchange(untried_, false)) prune();
}

void CheckpointKeeper::save_best(int64_t steps_done, Checkpoint checkpoint) const {
  if (!writes_) return;
  const Busy busy;
  const std::string folder = folder_ + kBestFolder;
  checkpoint.meta[kSkippedInARow] = 0;  // it was scored, so it is beyond doubt
  save_checkpoint(folder, steps_done, checkpoint);
  // A later one is of a part of the run that a resume has undone.
  remove_other_checkpoints(folder, steps_done);
}

// The update just saved may have ruined the weights, which only a further step shows. Until one was
// good, the checkpoint before it stays too.
void CheckpointKeeper::prune() const {
  if (!writes_) return;
  const Busy busy;
  prune_checkpoints(folder_,
                    {.newest = newest_,
                     .last = options_.keep_last + (untried_ ? 1 : 0),
                     .every_steps = options_.keep_every * steps_per_epoch_});
}

}  // namespace previt
