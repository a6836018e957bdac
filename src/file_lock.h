#pragma once

#include <string>

namespace previt {

/// A lock on a file, which is made if it is missing: one process at a time has it. The system
/// releases it when the process ends, however it ends.
class FileLock {
 public:
  enum class State { held, another_has_it, no_locks };  ///< no_locks: the file system has none

  /// Throws Error led by `place` if the file can't be opened to be written.
  FileLock(const std::string& path, const std::string& place);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  State state() const { return state_; }
  int file() const { return file_; }  ///< its descriptor

 private:
  int file_ = -1;
  State state_{};
};

}  // namespace previt
