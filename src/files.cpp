#include "files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
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

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5;

template <class T>
uint64_t load(const unsigned char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

uint64_t mix(uint64_t lane, uint64_t input) {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File open_file(const std::string& path, const char* mode, const std::string& place) {
  require(!std::filesystem::is_directory(path), "{}: is a folder, not a file", place);
  File file(std::fopen(path.c_str(), mode));
  require(file != nullptr, "{}: {}", place, std::strerror(errno));
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
                       (::fsync(::fileno(file.get())) == 0 || errno == EINVAL);  // no file: a pipe
  require(written, "{}: {}", path, std::strerror(errno));
  unfinished.finish();
}

MappedFile::MappedFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "{}: {}", path, std::strerror(errno));
  struct stat info {};
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  void* memory = nullptr;
  if (regular && info.st_size > 0) {
    size_ = static_cast<uint64_t>(info.st_size);
    memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int error = errno;
  ::close(fd);  // the mapping stays
  require(regular, "{}: not a file", path);
  require(memory != MAP_FAILED, "{}: {}", path, std::strerror(error));
  data_ = static_cast<const char*>(memory);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error, "{}: can't be made: {}", path, error.message());
}

void flush_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require(fd >= 0, "{}: {}", path, std::strerror(errno));
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some network file systems can't flush folders and say so with EINVAL.
  require(result == 0 || error == EINVAL, "{}: {}", path, std::strerror(error));
}

void Checksum::consume(const unsigned char* stripe) {
  for (int i = 0; i < 4; ++i) lanes_[i] = mix(lanes_[i], load<uint64_t>(stripe + 8 * i));
}

void Checksum::update(const void* data, uint64_t size) {
  auto bytes = static_cast<const unsigned char*>(data);
  const uint64_t held = total_ % 32;
  total_ += size;
  if (held > 0) {
    const uint64_t taken = std::min(size, 32 - held);
    std::memcpy(tail_ + held, bytes, taken);
    if (held + taken < 32) return;
    consume(tail_);
    bytes += taken;
    size -= taken;
  }
  for (; size >= 32; bytes += 32, size -= 32) consume(bytes);
  if (size > 0) std::memcpy(tail_, bytes, size);
}

uint64_t Checksum::value() const {
  uint64_t hash = kPrime5;
  if (total_ >= 32) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
    for (const uint64_t lane : lanes_) hash = (hash ^ mix(0, lane)) * kPrime1 + kPrime4;
  }
  hash += total_;
  const unsigned char* bytes = tail_;
  uint64_t left = total_ % 32;
  for (; left >= 8; bytes += 8, left -= 8) {
    hash = std::rotl(hash ^ mix(0, load<uint64_t>(bytes)), 27) * kPrime1 + kPrime4;
  }
  if (left >= 4) {
    hash = std::rotl(hash ^ (load<uint32_t>(bytes) * kPrime1), 23) * kPrime2 + kPrime3;
    bytes += 4;
    left -= 4;
  }
  for (; left > 0; ++bytes, --left) hash = std::rotl(hash ^ (*bytes * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

std::string Checksum::hex() const { return fmt::format("{:016x}", value()); }

std::string checksum_of(const std::string& text) {
  Checksum checksum;
  checksum.update(text.data(), text.size());
  return checksum.hex();
}

std::string checksum_of_file(const std::string& path) {
  Checksum checksum;
  read_pieces(path, [&](const char* data, size_t size) { checksum.update(data, size); });
  return checksum.hex();
}

}  // namespace previt
