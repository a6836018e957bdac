#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace previt {

/// How a data folder is divided. Paths are relative to it.
struct FolderLayout {
  std::string train, val;           ///< the splits' folders; "": there is none
  std::vector<std::string> unused;  ///< folders beside the splits
  int64_t unused_images = 0;        ///< images beside them

  bool unclear = false;            ///< folders that are splits, but which is which nobody said
  std::vector<std::string> alike;  ///< where nothing is divided: folders of the same folders

  bool divided() const { return !train.empty() || !val.empty(); }
};

/// Looks for splits in the folder, or where all images lie below a single folder of folders, in
/// that. Throws Error where it can't tell which folders are the splits.
FolderLayout find_layout(const std::string& root);

}  // namespace previt
