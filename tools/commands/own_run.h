#pragma once

#include <optional>
#include <set>
#include <string>

#include "cli/labelled_data.h"

namespace previt::cli {

/// The path of the recipe of the run that a checkpoint belongs to. `from` is a run folder, or
/// best/, a checkpoint or a weights file inside one. "" where there is no recipe.
std::string recipe_of_run(const std::string& from);

/// How the run that `from` belongs to drew the images of `path` that it held out of its training,
/// where it kept no list of them. Nothing where it trained on other data, and where the data has a
/// validation split.
std::optional<SplitOptions> own_holdout(const std::string& from, const std::string& path);

/// The text of a list that a run keeps: the names of the images, none where they are null.
/// held_out.json lists what was held out of training (nothing where the data was divided),
/// few_shot.json what finetune.per_class kept. They are written down because a folder that has
/// changed, or another version, would draw others.
std::string list_text(const Dataset* images);

/// The names in the held_out.json of the run that `from` belongs to; nothing where an older
/// version trained it. Throws Error where the file is no list of names.
std::optional<std::set<std::string>> own_held_out(const std::string& from);

/// `split` for a run in `folder` that goes on from a checkpoint: with the images in its lists, and
/// drawn as older versions did where it has none. Throws Error where a file is no list of names.
SplitOptions resumed(SplitOptions split, const std::string& folder);

}  // namespace previt::cli
