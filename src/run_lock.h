#pragma once

#include <optional>
#include <string>

#include "file_lock.h"

namespace previt {

/// Lets one process at a time write to a run folder. While this object lives, it holds a lock on
/// the file .lock in the folder. A killed process never blocks the next one (FileLock). Whoever only
/// reads needs no lock.
class RunLock {
 public:
  /// Makes the folder if it is missing. Throws Error, which names the other process if it is known,
  /// if the folder is locked. If the file system has no locks, it only warns.
  explicit RunLock(const std::string& folder);
  /// Releases the lock. Removes a folder in which there is nothing else.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::string folder_, path_;
  std::optional<FileLock> lock_;
};

}  // namespace previt
