#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/weights/safetensors.h"

namespace previt {

/// What a run needs to go on as if nothing had happened, in a folder
/// RUN/checkpoints/step_00001234/:
///   backbone.safetensors  the model that is kept, with `backbone_metadata` as header: a backbone
///                         under timm's names, or an image tokenizer
///   training.safetensors  everything else: objective, optimizer, moving average
///   meta.json             `meta`, with size and checksum of the files and of itself
struct Checkpoint {
  NamedTensors backbone;
  NamedTensors training;
  std::map<std::string, std::string> backbone_metadata;
  nlohmann::json meta = nlohmann::json::object();  ///< the trainer's; save_checkpoint sets "step"
  std::string folder = {};                         ///< where it was loaded from
};

/// How names in `training` begin, by what they belong to: the objective's parameters and buffers,
/// their moving averages, the optimizer.
constexpr const char* kObjectiveTensors = "objective.";
constexpr const char* kAverageTensors = "average.";
constexpr const char* kOptimizerTensors = "optimizer.";

/// Key in `meta`: how many steps in a row had been left out as not finite when it was saved. Above
/// 0, the checkpoint is in doubt: its weights may be why the loss overflows.
constexpr const char* kSkippedInARow = "skipped_in_a_row";

/// Writes under a temporary name, flushes every file and folder, then renames: a folder step_… is
/// whole or absent, whenever the power goes. Removes what an interrupted save left. On failure (a
/// full disk) removes its own files, leaves the other checkpoints untouched and throws Error. One
/// process at a time writes to a run.
void save_checkpoint(const std::string& run_folder, int64_t step, const Checkpoint& checkpoint);

/// What is read of a checkpoint: what resuming needs, what others may start from, or what they may
/// look at.
enum class CheckpointPart { all, without_optimizer, backbone };

/// Throws Error that names the file that is missing, cut short or damaged. Of the backbone alone,
/// training.safetensors is only known to have its size.
Checkpoint load_checkpoint(const std::string& folder, CheckpointPart part = CheckpointPart::all);

/// Checkpoint folders of a run, newest first, good or not; empty when there are none.
std::vector<std::string> list_checkpoints(const std::string& run_folder);

/// The name of a tensor that holds NaN or infinity; "" if there is none.
std::string not_finite(const Checkpoint& checkpoint);

/// The newest good checkpoint: whole, finite in what is read of it, and not in doubt unless all
/// are. Adds a warning for each that it passes over; throws Error if none is left.
Checkpoint load_latest(const std::string& run_folder,
                       std::vector<std::string>& warnings,
                       CheckpointPart part = CheckpointPart::all);

/// The checkpoint in `folder`, or the newest good one of a run there: load_checkpoint or load_latest.
Checkpoint load_checkpoint_or_latest(const std::string& folder,
                                     std::vector<std::string>& warnings,
                                     CheckpointPart part);

/// The folder of the newest checkpoint up to `step` that is not in doubt, damaged or not; "" if
/// there is none.
std::string newest_undoubted(const std::string& run_folder, int64_t step);

/// Which checkpoints of a run stay.
struct KeptCheckpoints {
  int64_t newest = 0;  ///< step of the one just saved; later ones are of a part that was undone
  int64_t last = 1;    ///< how many of the newest, at least one
  int64_t every_steps = 0;  ///< and those at a multiple of so many steps; 0: none
};
/// Removes all others. Those in doubt don't count, and one stays only while it is the newest.
void prune_checkpoints(const std::string& run_folder, const KeptCheckpoints& kept);

/// Removes all checkpoints but that of `step`, later ones too.
void remove_other_checkpoints(const std::string& run_folder, int64_t step);

}  // namespace previt
