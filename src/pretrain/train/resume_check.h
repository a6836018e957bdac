#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/weights/checkpoint.h"
#include "settings.h"

namespace previt {

/// Throws UsageError if a run was made in the folder: a new one would mix with it.
void require_no_run(const std::string& run_folder);

/// The checkpoint that a run goes on from; nothing, and a line in the log, if there is none. Warns
/// of each one that is passed over. Throws Error if all are damaged.
std::optional<Checkpoint> checkpoint_to_resume(const std::string& run_folder);

/// The ways of computing matmuls that this run chose, for its checkpoint.
nlohmann::json matmul_ways_json();
/// All ranks compute matmuls in the ways that rank 0 chose, as they will when the run is resumed.
void share_matmul_ways();
/// The run's matmuls are computed in the ways that it chose (matmul_ways.h), or, if it is older than
/// that choice, in the fixed ones. If nothing is to be measured, they are computed in the fixed ones
/// from here on. meta: that of its checkpoint. Throws Error where it is damaged.
void keep_matmul_ways(const nlohmann::json& meta);

/// Settings as the JSON that a checkpoint keeps.
nlohmann::json settings_json(const Settings& settings);

/// Compares a checkpoint's settings with those of the run that resumes from it. What doesn't make
/// it another run may change, and is logged: data, output, scoring, rates, schedule, precision, and
/// the numbers of epochs and threads. For anything else, throws UsageError that names the key.
void require_resumable(const nlohmann::json& saved, const Settings& now);

/// Throws UsageError that names what changed if the run's classes aren't those of the checkpoint:
/// its head would confuse their names. A checkpoint without names is accepted. `metadata` is
/// Checkpoint::backbone_metadata.
void require_same_classes(const std::map<std::string, std::string>& metadata,
                          const std::vector<std::string>& now);

}  // namespace previt
