#pragma once

#include <string>

namespace previt {

/// A folder that appears under its name only once it is whole. Until finish() its files are written
/// to FOLDER.partial beside it, which is removed if finish() is never called.
class UnfinishedFolder {
 public:
  /// What becomes of a folder that has the name already.
  enum class IfThere { refuse, replace };

  /// To be refused, throws UsageError led by the path if something is there: only an empty folder
  /// may be. To be replaced, it stays until finish(), and what an interrupted run left of
  /// FOLDER.partial goes.
  explicit UnfinishedFolder(const std::string& path, IfThere if_there = IfThere::refuse);
  ~UnfinishedFolder();
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const std::string& path() const { return path_; }  ///< what to write into
  /// Renames it to its own name. Throws Error led by that name.
  void finish();

 private:
  std::string target_, path_;
  IfThere if_there_;
};

}  // namespace previt
