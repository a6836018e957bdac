#pragma once

#include <torch/nn/module.h>

#include <optional>
#include <string>

#include "communicator.h"
#include "models/weights/checkpoint.h"
#include "settings.h"

namespace previt {

// How all ranks of a run begin alike. With one process these do nothing of their own.

/// Gives all ranks the parameters and buffers of one of them.
void share_weights(const torch::nn::Module& module, int64_t from = 0, Communicator& all = world());

/// Throws where a rank's settings are others than rank 0's: UsageError there, which names the key,
/// and Error with the same words on the others. Where the data is, and how it is read, may differ.
void require_same_settings(const Settings& settings);

/// checkpoint_to_resume() of rank 0, on all ranks. Throws Error where a rank can't read it.
std::optional<Checkpoint> checkpoint_of_all_ranks(const std::string& run_folder);

/// The score of what the run's best/ holds, as rank 0 reads it, on all ranks; -infinity if it holds
/// nothing. It may be of a part of the run that a resume has undone, as that network is kept.
double best_of_all_ranks(const std::string& run_folder);

}  // namespace previt
