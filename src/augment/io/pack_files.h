#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "augment/io/pack_index.h"

namespace previt {

/// A file of a pack's pixels, mapped into memory.
class PackFile {
 public:
  /// Throws DatasetError led by `path` if it is missing, damaged, or not the file that `wanted`
  /// tells of.
  PackFile(const std::string& path, const PackIndex::Shard& wanted, uint64_t pixel_bytes);
  /// The same of a file that was checked just before, with these chunks.
  PackFile(const std::string& path,
           const PackIndex::Shard& wanted,
           uint64_t pixel_bytes,
           const ChunkTable& chunks);

  /// Its pixels' bytes [at, at + size). They lie in the mapped file or, if they cross from one
  /// chunk into the next, in `buffer`.
  Bytes bytes(uint64_t at, uint64_t size, std::vector<uint8_t>& buffer) const;

 private:
  void require_room(const std::string& path, uint64_t pixel_bytes) const;
  const uint8_t* address(uint64_t at) const;

  std::unique_ptr<MappedFile> file_;
  ChunkTable chunks_;
};

/// The files of a pack, each opened when it is first asked for. At most kMostOpen stay mapped for
/// those who don't hold one; no descriptor stays open. Safe to use from any thread.
class PackFiles {
 public:
  static constexpr size_t kMostOpen = 1024;

  /// Asks the file system whether all files are there and have their sizes, without opening them.
  /// Throws Error led by the path of the first that isn't. `index` must outlive this.
  PackFiles(const std::string& path, const PackIndex& index);

  /// Throws as PackFile does.
  std::shared_ptr<const PackFile> open(size_t shard);

 private:
  std::shared_ptr<const PackFile> opened(size_t shard) const;
  struct Open {
    std::shared_ptr<const PackFile> file;
    uint64_t used = 0;  // when, by clock_
  };
  void keep(size_t shard, const std::shared_ptr<const PackFile>& file);

  const PackIndex& index_;
  std::vector<std::string> paths_;
  std::mutex mutex_;
  std::vector<Open> open_;  // by shard
  size_t count_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace previt
