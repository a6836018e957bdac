#pragma once

#include <string>

namespace previt {

/// One process at a time writes to a run folder. While it lives it holds a lock on the file .lock
/// in it; the system lets go of that when the process ends, however it ends, so what a killed one
/// leaves never blocks. Whoever only reads needs none.
class RunLock {
 public:
  /// Makes the folder if there is none. Throws Error that names the other process, if it is known.
  /// Where the file system has no locks: a warning.
  explicit RunLock(const std::string& folder);
  /// Removes a folder that got nothing but the lock.
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
