#pragma once

#include <string>

namespace previt {

/// A folder that appears under its name only once it is whole. Until finish() its files are written
/// to FOLDER.partial beside it, which is removed if finish() is never called.
class UnfinishedFolder {
 public:
  /// Throws UsageError led by the path if something is there already: only an empty folder may be.
  explicit UnfinishedFolder(const std::string& path);
  ~UnfinishedFolder();
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const std::string& path() const { return path_; }  ///< what to write into
  /// Renames it to its own name. Throws Error led by that name.
  void finish();

 private:
  std::string target_, path_;
};

}  // namespace previt
