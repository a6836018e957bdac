#include "run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
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
  while (!take()) ::close(file_);
}

// False if the file was removed between opening and locking it; then it has to be tried again.
bool RunLock::take() {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  require(file_ >= 0, "{}: {}", path_, std::strerror(errno));
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EWOULDBLOCK) {
      const std::string other = name_in(file_);
      ::close(file_);
      fail("{}: {} is writing to it; wait for its end, or give another --out", folder_, other);
    }
    warn("{}: can't be locked ({}); see that nothing else writes to it",
         folder_,
         std::strerror(error));
    return true;
  }
  if (!is_in_place()) return false;
  const std::string name = own_name();
  // The lock is the system's; the name is only for people, so a failed write does no harm.
  if (::ftruncate(file_, 0) == 0) (void)!::pwrite(file_, name.data(), name.size(), 0);
  return true;
}

// Whether the locked file is still the one under the path.
bool RunLock::is_in_place() const {
  struct stat held {
  }, there{};
  return ::fstat(file_, &held) == 0 && ::stat(path_.c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

RunLock::~RunLock() {
  // Removed while it is locked: whoever has opened the file meanwhile sees in is_in_place() that it
  // is gone, and starts again.
  std::error_code error;
  const fs::directory_iterator entries(folder_, error);
  if (!error && std::distance(begin(entries), end(entries)) == 1) {
    fs::remove(path_, error);
    fs::remove(folder_, error);
  }
  ::close(file_);
}

}  // namespace previt
