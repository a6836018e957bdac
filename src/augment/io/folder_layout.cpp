#include "augment/io/folder_layout.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>

#include "augment/io/folder_listing.h"
#include "augment/io/split_name.h"
#include "error.h"

namespace previt {
namespace {

struct Candidate {
  std::string folder;
  SplitName name;

  /// Candidates are sorted by this, the best first.
  auto order() const { return std::tuple(name.rank, !name.usual, folder); }
};

std::vector<Candidate> candidates_of(SplitName::Kind kind,
                                     const std::vector<FolderContent::Inside>& folders) {
  std::vector<Candidate> found;
  for (const auto& folder : folders) {
    const SplitName name = split_name(folder.name);
    if (name.kind == kind) found.push_back({folder.name, name});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.order() < b.order();
  });
  return found;
}

/// Whether the two best are equally good.
bool is_tie(const std::vector<Candidate>& candidates) {
  return candidates.size() > 1 && !candidates[0].name.usual &&
         candidates[0].name.rank == candidates[1].name.rank;
}

std::string best_of(const std::vector<Candidate>& candidates, const std::string& where) {
  require(!is_tie(candidates),
          "{}: {}/ and {}/ could be the same split; rename one of them, or move it away",
          where,
          candidates[0].folder,
          candidates[1].folder);
  return candidates.front().folder;
}

/// The subfolders with images below them, at most `at_most`. Each counts once, and folders that
/// contain `where` itself don't count.
std::vector<std::string> image_folders(const std::string& where,
                                       const FolderContent& content,
                                       size_t at_most = SIZE_MAX) {
  auto seen = holders_of(where);
  seen.insert(content.stamp.identity());
  std::vector<std::string> found;
  // Real folders come first, so that one met twice keeps its own name, not a link's.
  for (const bool link : {false, true}) {
    for (const auto& folder : content.folders) {
      const std::string path = where + "/" + folder.name;
      const auto stamp = folder.link == link ? folder_stamp(path) : std::nullopt;
      if (found.size() == at_most || !stamp || !seen.insert(stamp->identity()).second) continue;
      if (holds_images(path)) found.push_back(folder.name);
    }
  }
  return found;
}

/// Whether folders named after only one kind of split, in an unusual way ("Training" without
/// "Test"), are splits. Beside other folders of images they may as well be classes.
bool are_lone_splits(const std::string& where,
                     const std::vector<Candidate>& candidates,
                     const FolderContent& content) {
  const auto is_split = [&](const std::string& folder) {
    return std::any_of(candidates.begin(), candidates.end(), [&](const auto& candidate) {
      return candidate.folder == folder;
    });
  };
  const auto holds_classes = [&](const std::string& folder) {
    return read_folder(where + "/" + folder).files.empty();
  };
  const auto folders = image_folders(where, content);
  return std::all_of(folders.begin(), folders.end(), is_split) ||
         std::all_of(folders.begin(), folders.end(), [&](const std::string& folder) {
           return holds_classes(folder) == is_split(folder);
         });
}

/// Folders that all hold the same folders, and no images: likely splits, hardly classes.
struct Alike {
  std::vector<std::string> folders, inside;

  /// Two or three of them, as with training and test in another language, and no names of splits
  /// inside.
  bool are_splits() const {
    return !folders.empty() && folders.size() <= 3 &&
           std::none_of(inside.begin(), inside.end(), [](const std::string& name) {
             return split_name(name).kind != SplitName::Kind::none;
           });
  }
};

Alike alike_folders(const std::string& where, const FolderContent& content) {
  Alike alike;
  for (const auto& folder : content.folders) {
    const FolderContent inside = read_folder(where + "/" + folder.name);
    if (inside.files.empty() && inside.folders.empty()) continue;
    std::vector<std::string> names;
    for (const auto& one : inside.folders) names.push_back(one.name);
    if (alike.folders.empty()) alike.inside = names;
    if (!inside.files.empty() || names.size() < 2 || names != alike.inside) return {};
    alike.folders.push_back(folder.name);
  }
  return alike.folders.size() > 1 ? alike : Alike();
}

/// Folders like cats_train/ and cats_test/ aren't classes, but it isn't clear what they are.
void refuse_unclear_splits(const std::string& where, const FolderContent& content) {
  const auto hints = [](const std::string& folder, bool train) {
    const SplitName name = split_name(folder);
    return name.hints && name.hints_train == train;
  };
  const auto there = [&](bool train) {
    return std::any_of(content.folders.begin(), content.folders.end(), [&](const auto& folder) {
      return hints(folder.name, train);
    });
  };
  if (!there(true) || !there(false)) return;
  const auto folders = image_folders(where, content);
  const bool all = std::all_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return hints(folder, true) || hints(folder, false);
  });
  require(!all || folders.size() < 2,
          "{}: {}/ look like splits, not classes; name them train/ and val/",
          where,
          fmt::join(folders, "/, "));
}

void note_unused(FolderLayout& layout, const FolderContent& content) {
  for (const auto& folder : content.folders) {
    if (folder.name != layout.train && folder.name != layout.val) {
      layout.unused.push_back(folder.name);
    }
  }
  layout.unused_images = static_cast<int64_t>(content.files.size());
}

/// The splits of a folder; none if it isn't divided.
FolderLayout splits_in(const std::string& where, const FolderContent& content) {
  const auto trains = candidates_of(SplitName::Kind::train, content.folders);
  const auto vals = candidates_of(SplitName::Kind::val, content.folders);
  FolderLayout layout;
  if (trains.empty() && vals.empty()) {
    refuse_unclear_splits(where, content);
    return layout;
  }
  if (trains.empty() || vals.empty()) {
    const auto& lone = trains.empty() ? vals : trains;
    const bool usual = std::any_of(
        lone.begin(), lone.end(), [](const auto& candidate) { return candidate.name.usual; });
    if (!usual && !are_lone_splits(where, lone, content)) return layout;
    layout.unclear = is_tie(lone);
    if (layout.unclear) return layout;
  }
  if (!trains.empty()) layout.train = best_of(trains, where);
  if (!vals.empty()) layout.val = best_of(vals, where);
  note_unused(layout, content);
  return layout;
}

/// The only subfolder with images; "" if there isn't exactly one, or images lie beside it.
std::string only_folder(const std::string& where, const FolderContent& content) {
  if (!content.files.empty()) return "";
  // Two are enough to know that there is more than one.
  const auto folders = image_folders(where, content, 2);
  return folders.size() == 1 ? folders.front() : "";
}

}  // namespace

FolderLayout find_layout(const std::string& root) {
  std::string below;
  while (true) {
    const std::string where = below.empty() ? root : root + "/" + below;
    const FolderContent content = read_folder(where);
    FolderLayout layout = splits_in(where, content);
    if (layout.divided()) {
      const std::string prefix = below.empty() ? "" : below + "/";
      if (!layout.train.empty()) layout.train = prefix + layout.train;
      if (!layout.val.empty()) layout.val = prefix + layout.val;
      for (auto& folder : layout.unused) folder = prefix + folder;
      return layout;
    }
    const std::string only = layout.unclear ? "" : only_folder(where, content);
    if (only.empty()) {
      const Alike alike = alike_folders(where, content);
      layout.unclear = layout.unclear || alike.are_splits();
      layout.alike = alike.folders;
      return layout;
    }
    below = below.empty() ? only : below + "/" + only;
  }
}

}  // namespace previt
