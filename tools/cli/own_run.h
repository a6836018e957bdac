#pragma once

#include <optional>
#include <string>

#include "cli/labelled_data.h"

namespace previt::cli {

/// The recipe of the run that a checkpoint is of: `from` is a run folder, or best/, a checkpoint or
/// its weights in one. "" where there is none.
std::string recipe_of_run(const std::string& from);

/// How the run that `from` is of held images out of `path`, on the others of which it trained.
/// Nothing where it ran on other data, or the data has a validation split.
std::optional<SplitOptions> own_holdout(const std::string& from, const std::string& path);

}  // namespace previt::cli
