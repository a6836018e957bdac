#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "augment/io/folder_listing.h"

namespace previt {

/// One listed folder and the class of each folder in it.
struct FolderPart {
  std::string root, prefix;  ///< the prefix is shown in names
  FolderListing listing;
  std::string classes_below;    ///< ends in '/', or "": where in the listing the class folders are
  std::vector<int64_t> labels;  ///< per folder of the listing, -1: none
  int64_t first = 0;            ///< number of its first sample

  std::string path(int64_t index) const { return root + "/" + listing.path(index); }
};

/// What a folder holds, and what a user should know of how it was read.
struct FolderData {
  std::vector<FolderPart> parts;
  std::vector<std::string> classes;
  std::vector<std::string> lines, warnings;
};

/// Where all images lie in folders of their own, these are the classes, in sorted order; divided
/// folders share one list of classes. Below a single folder of folders its folders are the classes.
/// split: train, val or all. Throws Error where there is no such split.
FolderData read_folder_data(const std::string& root,
                            const std::string& split,
                            const std::string& cache_folder);

}  // namespace previt
