#include "augment/io/file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error.h"

namespace previt {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;

struct Descriptor {
  explicit Descriptor(const std::string& path)
      : value(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  int value;
};

}  // namespace

Bytes FileBytes::read(const std::string& path) {
  const Descriptor file(path);
  struct stat status {};
  require_system(file.value >= 0 && ::fstat(file.value, &status) == 0, "can't be opened");
  require(S_ISREG(status.st_mode), "not a file");
  require(status.st_size <= kMostBytes, "{} bytes are too many for a picture", status.st_size);
  const auto size = static_cast<size_t>(status.st_size);
  // With room to spare, so that the buffer rarely has to grow.
  if (buffer_.size() < size) buffer_.resize(size + size / 2);
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.value, buffer_.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    require_system(got >= 0, "can't be read");
    // The file became shorter since its size was asked for.
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return {buffer_.data(), done};
}

}  // namespace previt
