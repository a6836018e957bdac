#pragma once

#include <optional>
#include <set>
#include <string>

#include "cli/labelled_data.h"

namespace previt::cli {

/// The path of the recipe of the run that a checkpoint belongs to. `from` is a run folder, or
/// best/, a checkpoint or a weights file inside one. "" where there is no recipe.
std::string recipe_of_run(const std::string& from);

/// How the run that `from` belongs to held images of `path` out of its training. Nothing where it
/// trained on other data, and where the data has a validation split.
std::optional<SplitOptions> own_holdout(const std::string& from, const std::string& path);

/// The text of a run's held_out.json: the names of the images that were held out of training, none
/// where the data was divided. It is written down because a folder that has changed would hold out
/// others.
std::string held_out_text(const LabelledData& data);

/// The names in the held_out.json of the run that `from` belongs to; nothing where an older
/// version trained it. Throws Error where the file is no list of names.
std::optional<std::set<std::string>> own_held_out(const std::string& from);

}  // namespace previt::cli
