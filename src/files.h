#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct XXH64_state_s;

namespace previt {

/// Reads a whole file, for small ones such as JSON. Throws Error led by the path.
std::string read_whole_file(const std::string& path);
/// Writes a file and flushes it to disk. It appears under its name only once it is whole
/// (unfinished_file.h). Throws Error led by the path.
void write_whole_file(const std::string& path, const std::string& text);
/// Adds to the end of a file, which is made if it is missing. Throws Error led by the path.
void append_to_file(const std::string& path, const std::string& text);

/// Makes the folder, and those above it, if they are missing. Throws Error led by the path.
void make_folder(const std::string& path);

/// A file's bytes, mapped into memory: pages that nobody touches are never read. data() of an empty
/// file is null. Throws Error led by the path.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  uint64_t size() const { return size_; }
  /// Gives the memory of these bytes back, for what is read once; touched again, they are read
  /// again.
  void release(const char* from, uint64_t size) const;

 private:
  const char* data_ = nullptr;
  uint64_t size_ = 0;
};

/// Makes the names in a folder (new, renamed, removed files) survive a power cut. Throws Error led
/// by the path.
void flush_folder(const std::string& path);

/// XXH64 with seed 0: a fast, non-cryptographic checksum that detects damaged files.
/// Source: the xxHash specification (Collet, doc/xxhash_spec.md).
class Checksum {
 public:
  Checksum();
  void update(const void* data, uint64_t size);
  uint64_t value() const;
  std::string hex() const;  ///< 16 hexadecimal digits

 private:
  std::unique_ptr<XXH64_state_s, void (*)(XXH64_state_s*)> state_;
};

/// Checksum::hex of a text.
std::string checksum_of(const std::string& text);
/// Adds a file's bytes, piece by piece. Throws Error led by the path.
void update_with_file(Checksum& checksum, const std::string& path);
/// Checksum::hex of a file's bytes. Throws Error led by the path.
std::string checksum_of_file(const std::string& path);

}  // namespace previt
