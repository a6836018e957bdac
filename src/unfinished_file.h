#pragma once

#include <optional>
#include <string>

#include "file_lock.h"

namespace previt {

/// Where a file of this name is that a rename shall replace: a link is followed, so that the rename
/// replaces the file and not the link.
std::string behind_link(const std::string& path);

/// A file that appears under its name only once it is whole. Until finish() it is written under
/// another name beside it, by one process at a time. A pipe or a device is written to directly.
class UnfinishedFile {
 public:
  /// What becomes of the file if finish() is never called.
  enum class IfUnfinished { removed, kept };

  /// Throws Error, led by the path, if another process is writing the file, or it can't be made.
  explicit UnfinishedFile(const std::string& path);
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  const std::string& path() const { return path_; }  ///< what to write to
  /// Whether an earlier process has left something there.
  bool begun() const { return begun_; }
  void if_unfinished(IfUnfinished what) { if_unfinished_ = what; }
  /// Renames it to its own name. Throws Error led by that name.
  void finish();

 private:
  std::string target_, path_;
  std::optional<FileLock> lock_;
  bool begun_ = false;
  IfUnfinished if_unfinished_ = IfUnfinished::removed;
};

}  // namespace previt
