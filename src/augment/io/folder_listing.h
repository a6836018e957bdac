#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace previt {

/// The image files under a folder, sorted: folders by path, files by name within each. Made for
/// millions: one block of text, no allocation per file.
class FolderListing {
 public:
  /// A folder with its images.
  struct Folder {
    std::string path;      ///< relative to the root, "" for the root itself
    int64_t modified = 0;  ///< nanoseconds
    int64_t first = 0;     ///< number of its first file
  };

  int64_t size() const { return static_cast<int64_t>(offsets_.size()); }
  const std::vector<Folder>& folders() const { return folders_; }
  /// Relative to the root.
  std::string path(int64_t index) const;
  /// Which of folders() a file is in.
  size_t folder_of(int64_t index) const;

  /// Folders must come in order.
  void add_folder(std::string path, int64_t modified);
  void add_file(std::string_view name);

  void save(const std::string& file) const;
  /// False if there is none, it is damaged, or a folder was changed since.
  bool load(const std::string& file, const std::string& root);

 private:
  std::vector<Folder> folders_;
  std::string names_;              // each ended by a zero
  std::vector<uint64_t> offsets_;  // where each begins
};

/// Lists the images (by extension) under `root`, hidden ones left out, links followed. With a
/// `cache_folder` the result is kept there and taken while no folder's modification time differs.
/// Throws Error if a folder can't be read.
FolderListing list_images(const std::string& root, const std::string& cache_folder = "");

/// Folders directly inside, sorted, hidden ones left out.
std::vector<std::string> list_folders(const std::string& root);

}  // namespace previt
