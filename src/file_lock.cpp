#include "file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "error.h"

namespace previt {
namespace {

// Of the open file, not of the process: flock() would meet the locks of HDF5, and closing any other
// descriptor of the file would end the usual ones of fcntl().
FileLock::State lock(int file) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file, F_OFD_SETLK, &whole) == 0) return FileLock::State::held;
  return errno == EAGAIN || errno == EACCES ? FileLock::State::another_has_it
                                            : FileLock::State::no_locks;
}

// Whether the locked file is still the one under the path: its last owner may have renamed it.
bool is_in_place(int file, const std::string& path) {
  struct stat held {
  }, there{};
  return ::fstat(file, &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

}  // namespace

FileLock::FileLock(const std::string& path, const std::string& place) {
  while (true) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    require_system(file_ >= 0, place);
    state_ = lock(file_);
    if (state_ != State::held || is_in_place(file_, path)) return;
    ::close(file_);
  }
}

FileLock::~FileLock() { ::close(file_); }

}  // namespace previt
