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

  bool unclear = false;            ///< the folders look like splits, but not which is which
  std::vector<std::string> alike;  ///< if it is undivided: subfolders that hold the same folders

  bool divided() const { return !train.empty() || !val.empty(); }
};

/// Looks for splits in the folder or, if all images lie below a single subfolder, in that one.
/// Throws Error if it can't tell which folders are the splits.
FolderLayout find_layout(const std::string& root);

}  // namespace previt
