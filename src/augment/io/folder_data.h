#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"
#include "augment/io/folder_listing.h"

namespace previt {

/// One listed folder and the class of each folder in it.
struct FolderPart {
  std::string root, prefix;  ///< the samples' names begin with the prefix
  FolderListing listing;
  std::string classes_below;  ///< path of what holds the class folders, ended by '/'; "": the root
  std::vector<int64_t> labels;  ///< class of each folder of the listing; -1: none
  int64_t first = 0;            ///< number of its first sample

  std::string path(int64_t index) const { return root + "/" + listing.path(index); }
};

/// What a folder holds, and what a user should know about how it was read.
struct FolderData {
  std::vector<FolderPart> parts{};
  std::vector<std::string> classes{};
  std::vector<std::string> lines{}, warnings{};
};

/// Lists a folder and finds its classes. If all images lie in subfolders, these are the classes, in
/// sorted order. If they all lie below a single subfolder that holds folders, those are the
/// classes. The splits of a divided folder share one list of classes, of those that have any: the
/// images of the other have no labels. Throws Error if there is no such split.
FolderData read_folder_data(const std::string& root, Split split, const std::string& cache_folder);

/// Gives all ranks what rank 0 has, but for the keys of files and what the user should know. Throws
/// Error led by `root` where something else arrives.
void share(FolderData& data, const std::string& root);

}  // namespace previt
