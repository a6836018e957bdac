#include "pretrain/train/learning_guard.h"

#include <utility>

#include "communicator.h"

namespace previt {

LearningGuard::LearningGuard(std::string run_folder, const TrainOptions& options)
    : folder_(std::move(run_folder)), options_(options) {}

void LearningGuard::require_finite(const Checkpoint& weights, const RunPosition& at) const {
  // Rank 0 alone has all of a divided optimizer's state, and all must end where it does.
  const std::string broken = world().broadcast(world().leads() ? not_finite(weights) : "");
  if (broken.empty()) return;
  give_up(fmt::format("step {}: the weights are not finite ({})", at.steps_done, broken), at);
}

void LearningGuard::require_few_skipped(const RunPosition& at) const {
  if (at.skipped_in_a_row < options_.max_bad_steps) return;
  give_up(fmt::format("step {}: loss or gradients were not finite {} times in a row",
                      at.steps_done,
                      at.skipped_in_a_row),
          at);
}

void LearningGuard::require_learned(const RunPosition& at,
                                    const std::function<bool()>& another_is_good) const {
  if (at.skipped_in_a_row == 0) return;
  if (at.skipped_steps == at.steps_done) {
    give_up(fmt::format("nothing was learned: loss or gradients were not finite in all {} steps",
                        at.steps_done),
            at);
  }
  if (another_is_good()) return;
  give_up(
      fmt::format("nothing more was learned: loss or gradients were not finite in the last {} of "
                  "{} steps",
                  at.skipped_in_a_row,
                  at.steps_done),
      at);
}

void LearningGuard::give_up(const std::string& problem, const RunPosition& at) const {
  const std::string good = newest_undoubted(folder_, at.steps_done);
  const std::string where =
      good.empty() ? "there is no checkpoint from before: start again"
                   : fmt::format("the last good checkpoint is {}: go on from it, --resume,", good);
  // Nothing was learned since that checkpoint, so its weights may be as bad as the present ones.
  const bool none_since =
      good.ends_with(fmt::format("step_{:08}", at.steps_done - at.skipped_in_a_row));
  throw LostRun(
      fmt::format("{}; {} with a lower optimizer.base_lr{}{}",
                  problem,
                  where,
                  options_.precision == Precision::bf16 ? " or train.precision=fp32" : "",
                  none_since ? "; if that fails too, remove it and go on from the one before" : ""),
      problem);
}

}  // namespace previt
