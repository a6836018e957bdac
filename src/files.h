#pragma once

#include <cstdint>
#include <string>

namespace previt {

/// Whole small files, for text such as JSON. Errors are led by the path.
std::string read_whole_file(const std::string& path);
/// Flushed to disk; the file is there under its name only once it is whole (unfinished_file.h).
void write_whole_file(const std::string& path, const std::string& text);

/// Makes the folder and those above it where they are missing. Throws Error led by its path.
void make_folder(const std::string& path);

/// A file's bytes, mapped into memory: pages that nobody touches are never read.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  const char* data_ = nullptr;
  uint64_t size_ = 0;
};

/// Makes the names in a folder (new, renamed, removed files) survive a power cut.
void flush_folder(const std::string& path);

/// XXH64 with seed 0: a strong, fast, non-cryptographic checksum that tells damaged files.
/// Source: the xxHash specification (Collet, doc/xxhash_spec.md).
class Checksum {
 public:
  void update(const void* data, uint64_t size);
  uint64_t value() const;
  std::string hex() const;  ///< 16 digits

 private:
  void consume(const unsigned char* stripe);
  uint64_t lanes_[4] = {0x60EA27EEADC0B5D6, 0xC2B2AE3D27D4EB4F, 0, 0x61C8864E7A143579};
  unsigned char tail_[32] = {};
  uint64_t total_ = 0;
};

std::string checksum_of(const std::string& text);
std::string checksum_of_file(const std::string& path);

}  // namespace previt
