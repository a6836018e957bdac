#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace previt {

/// Which folder it is, and what changes when its entries do. Unpacking an archive sets old
/// modification times, but the time of the change itself can't be set.
struct FolderStamp {
  uint64_t device = 0, inode = 0;
  int64_t modified = 0, changed = 0;  ///< nanoseconds
  int64_t bytes = 0, links = 0;

  std::pair<uint64_t, uint64_t> identity() const { return {device, inode}; }
  bool operator==(const FolderStamp&) const = default;
};

/// The stamp of the folder that `path` leads to, also through links; nothing if it is no folder.
std::optional<FolderStamp> folder_stamp(const std::string& path);

/// Pictures that aren't read, as their endings tell: HEIC, GIF, AVIF, camera files and so on.
struct UnreadPictures {
  int64_t count = 0;
  std::string example;  ///< the name of one
};

/// What one folder holds, as far as it counts as data.
struct FolderContent {
  struct Inside {
    std::string name;
    bool link = false;
  };

  FolderStamp stamp;
  std::string names;            ///< of the images, each ended by a zero byte
  std::vector<uint32_t> files;  ///< offset of each name, sorted by name
  std::vector<uint64_t> keys;   ///< one per image, equal for links to the same file; 0: not known
  std::vector<Inside> folders;  ///< sorted
  bool own = false;             ///< PreViT wrote here; its pictures are left out
  UnreadPictures unread;

  const char* file(size_t i) const { return names.data() + files[i]; }
};

/// Reads a folder, without a stat call per file if the file system tells the types. It leaves out
/// hidden entries, what archives and systems leave behind (__MACOSX, @eaDir …), and pictures that
/// PreViT made (previews of a run, attention maps, patch colours). Throws Error if the folder can't
/// be read.
FolderContent read_folder(const std::string& path);

}  // namespace previt
