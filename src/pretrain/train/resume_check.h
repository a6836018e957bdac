#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/weights/checkpoint.h"
#include "settings.h"

namespace previt {

/// Whether a run was made in the folder.
bool holds_run(const std::string& run_folder);

/// What a run goes on from; nothing, and a line that says so, where it has no checkpoint. Warns of
/// each that is passed over. Throws Error where all are damaged.
std::optional<Checkpoint> checkpoint_to_resume(const std::string& run_folder);

/// Settings as the JSON that a checkpoint keeps.
nlohmann::json settings_json(const Settings& settings);

/// Compares a checkpoint's settings with those of the run that resumes from it. Data location,
/// output, rates, schedule, number of epochs and threads may change, which is logged; anything else
/// would make it another run: UsageError that names the key.
void require_resumable(const nlohmann::json& saved, const Settings& now);

/// Throws UsageError that names what changed where the run's classes aren't those of the
/// checkpoint: its head would call them by each other's names. One without names goes on. metadata:
/// Checkpoint::backbone_metadata.
void require_same_classes(const std::map<std::string, std::string>& metadata,
                          const std::vector<std::string>& now);

}  // namespace previt
