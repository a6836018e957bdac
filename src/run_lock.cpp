#include "run_lock.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "error.h"
#include "files.h"
#include "log.h"

namespace previt {
namespace fs = std::filesystem;
namespace {

// "process 123 on host": what the owner of a lock writes into it.
std::string own_name() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  return fmt::format("process {} on {}", ::getpid(), host);
}

std::string name_in(int file) {
  char text[512];
  const ssize_t size = ::pread(file, text, sizeof text, 0);
  const std::string name(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return name.starts_with("process ") ? name : "another process";
}

}  // namespace

RunLock::RunLock(const std::string& folder) : folder_(folder), path_(folder + "/.lock") {
  make_folder(folder);
  lock_.emplace(path_, path_);
  if (lock_->state() == FileLock::State::another_has_it) {
    fail("{}: {} is writing to it; wait for its end, or give another --out",
         folder_,
         name_in(lock_->file()));
  }
  if (lock_->state() == FileLock::State::no_locks) {
    warn("{}: the file system has no locks; see that nothing else writes to it", folder_);
    return;
  }
  const std::string name = own_name();
  // The lock is the system's; the name is only for people, so a failed write does no harm.
  if (::ftruncate(lock_->file(), 0) == 0) {
    (void)!::pwrite(lock_->file(), name.data(), name.size(), 0);
  }
}

RunLock::~RunLock() {
  // Removed while it is locked: whoever has opened the file meanwhile sees that it is gone, and
  // starts again.
  std::error_code error;
  const fs::directory_iterator entries(folder_, error);
  if (!error && std::distance(begin(entries), end(entries)) == 1) {
    fs::remove(path_, error);
    fs::remove(folder_, error);
  }
}

}  // namespace previt
