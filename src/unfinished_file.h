#pragma once

#include <string>

namespace previt {

/// A file that is to be there under its name only once it is whole: written beside it until
/// finish(), and removed if that is never called. What is no file, as a pipe, is written itself.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const std::string& path);
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  const std::string& path() const { return path_; }  ///< what to write to
  /// Throws Error led by the file's name.
  void finish();

 private:
  std::string target_, path_;
};

}  // namespace previt
