#pragma once

#include <nlohmann/json.hpp>

#include "settings.h"

namespace previt {

/// Settings as the JSON that a checkpoint keeps.
nlohmann::json settings_json(const Settings& settings);

/// Compares a checkpoint's settings with those of the run that resumes from it. Data location,
/// output, rates, schedule, number of epochs and threads may change, which is logged; anything else
/// would make it another run: UsageError that names the key.
void require_resumable(const nlohmann::json& saved, const Settings& now);

}  // namespace previt
