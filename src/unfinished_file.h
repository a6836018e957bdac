#pragma once

#include <string>

namespace previt {

/// Where a file of this name is that a rename shall replace: a link is followed, so that the rename
/// replaces the file and not the link.
std::string behind_link(const std::string& path);

/// A file that appears under its name only once it is whole. Until finish() it is written under
/// another name beside it, and it is removed if finish() is never called. A pipe or a device is
/// written to directly.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const std::string& path);
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  const std::string& path() const { return path_; }  ///< what to write to
  /// Renames it to its own name. Throws Error led by that name.
  void finish();

 private:
  std::string target_, path_;
};

}  // namespace previt
