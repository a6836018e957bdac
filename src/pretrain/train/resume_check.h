#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "settings.h"

namespace previt {

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
