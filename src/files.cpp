#include "files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "error.h"
#include "unfinished_file.h"

namespace previt {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File open_file(const std::string& path, const char* mode, const std::string& place) {
  // fopen opens a folder for reading, and only the first read fails.
  std::error_code none;
  require(!std::filesystem::is_directory(path, none), "{}: is a folder, not a file", place);
  File file(std::fopen(path.c_str(), mode));
  require_system(file != nullptr, place);
  return file;
}

// Calls use(data, size) for each piece of the file.
template <class Use>
void read_pieces(const std::string& path, Use use) {
  const File file = open_file(path, "rb", path);
  std::vector<char> buffer(1 << 20);
  while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    use(buffer.data(), size);
  }
  require(std::ferror(file.get()) == 0, "{}: can't be read", path);
}

}  // namespace

std::string read_whole_file(const std::string& path) {
  std::string text;
  read_pieces(path, [&](const char* data, size_t size) { text.append(data, size); });
  return text;
}

void write_whole_file(const std::string& path, const std::string& text) {
  UnfinishedFile unfinished(path);
  File file = open_file(unfinished.path(), "wb", path);
  const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                       std::fflush(file.get()) == 0 &&
                       (::fsync(::fileno(file.get())) == 0 || errno == EINVAL);  // a pipe
  require_system(written, path);
  unfinished.finish();
}

void append_to_file(const std::string& path, const std::string& text) {
  const File file = open_file(path, "ab", path);
  const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                       std::fflush(file.get()) == 0;
  require_system(written, path);
}

MappedFile::MappedFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require_system(fd >= 0, path);
  struct stat info {};
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  void* memory = nullptr;
  // mmap refuses a length of 0: an empty file has no mapping.
  if (regular && info.st_size > 0) {
    size_ = static_cast<uint64_t>(info.st_size);
    memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int error = errno;
  ::close(fd);  // the mapping outlives it
  require(regular, "{}: not a file", path);
  require(memory != MAP_FAILED, "{}: {}", path, std::strerror(error));
  data_ = static_cast<const char*>(memory);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

void MappedFile::release(const char* from, uint64_t size) const {
  if (size == 0) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(from) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(from) + size;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error, "{}: can't be made: {}", path, error.message());
}

void flush_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require_system(fd >= 0, path);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // EINVAL: some network file systems can't flush folders.
  require(result == 0 || error == EINVAL, "{}: {}", path, std::strerror(error));
}

Checksum::Checksum()
    : state_(XXH64_createState(), [](XXH64_state_s* state) { XXH64_freeState(state); }) {
  require(state_ != nullptr, "no memory for a checksum");
  XXH64_reset(state_.get(), 0);
}

void Checksum::update(const void* data, uint64_t size) { XXH64_update(state_.get(), data, size); }

uint64_t Checksum::value() const { return XXH64_digest(state_.get()); }

std::string Checksum::hex() const { return fmt::format("{:016x}", value()); }

std::string checksum_of(const std::string& text) {
  Checksum checksum;
  checksum.update(text.data(), text.size());
  return checksum.hex();
}

void update_with_file(Checksum& checksum, const std::string& path) {
  read_pieces(path, [&](const char* data, size_t size) { checksum.update(data, size); });
}

std::string checksum_of_file(const std::string& path) {
  Checksum checksum;
  update_with_file(checksum, path);
  return checksum.hex();
}

}  // namespace previt
