#pragma once

#include <string>

namespace previt {

/// Lets one process at a time write to a run folder. While this object lives, it holds a lock on
/// the file .lock in the folder. The system releases the lock when the process ends, however it
/// ends, so a killed process never blocks the next one. Whoever only reads needs no lock.
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
  bool take();
  bool is_in_place() const;

  std::string folder_, path_;
  int file_ = -1;
};

}  // namespace previt
