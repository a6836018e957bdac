#pragma once

#include <string>

#include "commands/outgoing_model.h"

namespace previt::cli {

/// Writes a network into `folder` as its format's libraries or scripts load it, with a model card.
/// Returns what was written. Throws Error for a network that the format can't express.
ForeignModel write_model_files(const std::string& folder, const OutgoingModel& out);

}  // namespace previt::cli
