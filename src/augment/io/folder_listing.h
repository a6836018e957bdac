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

/// The image files under a folder, sorted by folder path, then by name. It is made for millions of
/// files: all names lie in one block of text, without an allocation per file.
class FolderListing {
 public:
  /// A folder with its images.
  struct Folder {
    std::string path;  ///< relative to the root, "" for the root itself
    FolderStamp stamp{};
    int64_t first = 0;  ///< number of its first file
    bool own = false;   ///< as in FolderContent
    UnreadPictures unread{};
  };

  int64_t size() const { return static_cast<int64_t>(offsets_.size()); }
  const std::vector<Folder>& folders() const { return folders_; }
  /// How many images lie directly in a folder.
  int64_t files_in(size_t folder) const;
  /// Folders met again through a link. What they hold is listed only at its first place.
  const std::vector<Folder>& met_again() const { return met_again_; }
  /// The path of a file, relative to the root.
  std::string path(int64_t index) const;
  /// Index in folders() of the folder that a file is in.
  size_t folder_of(int64_t index) const;
  /// The key of a file, as in FolderContent. Not after forget_keys().
  uint64_t key(int64_t index) const { return keys_[static_cast<size_t>(index)]; }

  void forget_keys() { std::vector<uint64_t>().swap(keys_); }

  /// Makes room for so many more files, whose names and their ends have `name_bytes`.
  void reserve(int64_t files, uint64_t name_bytes);
  /// Folders must be added in order, each before its files.
  void add_folder(std::string path, const FolderStamp& stamp, bool own, UnreadPictures unread);
  void add_file(std::string_view name, uint64_t key);
  void add_met_again(std::string path, const FolderStamp& stamp);
  /// The same listing without the folders for which `left_out` returns true.
  FolderListing without(const std::function<bool(const Folder&)>& left_out) const;

  /// Writes the listing to a file. A failure is ignored: the file is only a cache.
  void save(const std::string& file) const;
  /// Reads it back. False if there is none, it is damaged, or a folder has changed since.
  bool load(const std::string& file, const std::string& root);

  /// Hands the listing to `put` as blocks of bytes.
  using Put = std::function<void(const void* data, uint64_t bytes)>;
  void write(const Put& put) const;
  /// Takes from `get` the same blocks, `bytes` in all or fewer. False if there are no such ones.
  using Get = std::function<bool(void* data, uint64_t bytes)>;
  bool read(const Get& get, uint64_t bytes);

 private:
  bool parse_folders(const std::string& text, uint64_t folders, uint64_t met_again, uint64_t files);

  std::vector<Folder> folders_, met_again_;
  std::string names_;              // each ended by a zero
  std::vector<uint64_t> offsets_;  // where each begins
  std::vector<uint64_t> keys_;
};

/// Lists the images (by extension) under `root`, without what read_folder leaves out. Links are
/// followed. A folder counts once, whatever leads to it: a real path goes before a link, otherwise
/// the first in order counts. Folders that contain the root don't count. With a `cache_folder` the
/// result is kept there, and reused until the stamp of a folder changes. Throws Error if a folder
/// can't be read.
FolderListing list_images(const std::string& root, const std::string& cache_folder = "");

using FolderIdentities = std::set<std::pair<uint64_t, uint64_t>>;

/// The folders that contain `root`. A link that leads back to one of them would go round in
/// circles.
FolderIdentities holders_of(const std::string& root);

/// Whether list_images would find an image.
bool holds_images(const std::string& root);

}  // namespace previt
