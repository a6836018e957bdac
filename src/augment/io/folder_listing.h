#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "augment/io/folder_content.h"

namespace previt {

/// The image files under a folder, sorted: folders by path, files by name within each. Made for
/// millions: one block of text, no allocation per file.
class FolderListing {
 public:
  /// A folder with its images.
  struct Folder {
    std::string path;  ///< relative to the root, "" for the root itself
    FolderStamp stamp{};
    int64_t first = 0;  ///< number of its first file
    bool own = false;   ///< as FolderContent's
  };

  int64_t size() const { return static_cast<int64_t>(offsets_.size()); }
  const std::vector<Folder>& folders() const { return folders_; }
  /// How many images are in a folder itself.
  int64_t files_in(size_t folder) const;
  /// Folders that were met again through a link. What they hold is listed at its first place.
  const std::vector<Folder>& met_again() const { return met_again_; }
  /// Relative to the root.
  std::string path(int64_t index) const;
  /// Which of folders() a file is in.
  size_t folder_of(int64_t index) const;
  /// As FolderContent's.
  uint64_t key(int64_t index) const { return keys_[static_cast<size_t>(index)]; }

  /// Folders must come in order, each before its files.
  void add_folder(std::string path, const FolderStamp& stamp, bool own);
  void add_file(std::string_view name, uint64_t key);
  void add_met_again(std::string path, const FolderStamp& stamp);
  /// The same without the folders for which `left_out` says so.
  FolderListing without(const std::function<bool(const Folder&)>& left_out) const;

  void save(const std::string& file) const;
  /// False if there is none, it is damaged, or a folder was changed since.
  bool load(const std::string& file, const std::string& root);

 private:
  bool parse(const std::string& text);

  std::vector<Folder> folders_, met_again_;
  std::string names_;              // each ended by a zero
  std::vector<uint64_t> offsets_;  // where each begins
  std::vector<uint64_t> keys_;
};

/// Lists the images (by extension) under `root`, without what read_folder leaves out. Links are
/// followed, but a folder counts once whatever leads to it (a real path before a link, else the
/// first in order), and one that holds the root not at all. With a `cache_folder` the result is
/// kept there and taken while no folder's stamp differs. Throws Error if a folder can't be read.
FolderListing list_images(const std::string& root, const std::string& cache_folder = "");

using FolderIdentities = std::set<std::pair<uint64_t, uint64_t>>;

/// The folders that hold a folder: what leads back to them would go round in circles.
FolderIdentities holders_of(const std::string& root);

/// Whether list_images would find one.
bool holds_images(const std::string& root);

}  // namespace previt
