#pragma once

#include <optional>
#include <set>
#include <string>

#include "cli/labelled_data.h"

namespace previt::cli {

/// The recipe of the run that a checkpoint is of: `from` is a run folder, or best/, a checkpoint or
/// its weights in one. "" where there is none.
std::string recipe_of_run(const std::string& from);

/// How the run that `from` is of held images out of `path`, on the others of which it trained.
/// Nothing where it ran on other data, or the data has a validation split.
std::optional<SplitOptions> own_holdout(const std::string& from, const std::string& path);

/// What a run's held_out.json says: the names of the images that were held out of the training
/// images, none where the data was divided. Folders change later, and what they would hold out
/// then.
std::string held_out_text(const LabelledData& data);

/// The names in the held_out.json of the run that `from` is of; nothing where older versions made
/// it.
std::optional<std::set<std::string>> own_held_out(const std::string& from);

}  // namespace previt::cli
