#include "augment/io/pack_files.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <tuple>

#include "error.h"

namespace previt {
namespace {

[[noreturn]] void fail_file(const std::string& path, const char* reason) {
  throw DatasetError(fmt::format("{}: {}", path, reason));
}

// An index names its shards: what is wrong with one is wrong with the whole pack.
template <class Read>
auto of_whole_pack(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw DatasetError(error.what());
  }
}

std::unique_ptr<MappedFile> mapped(const std::string& path) {
  return of_whole_pack([&] { return std::make_unique<MappedFile>(path); });
}

}  // namespace

PackFile::PackFile(const std::string& path, const PackIndex::Shard& wanted, uint64_t pixel_bytes)
    : file_(mapped(path)) {
  PackTrailer trailer = of_whole_pack([&] { return read_trailer(bytes_of(*file_), path); });
  if (trailer.checksum != wanted.checksum || file_->size() != wanted.bytes) {
    fail_file(path, "belongs to another pack");
  }
  chunks_ = std::move(trailer.chunks);
  require_room(path, pixel_bytes);
}

PackFile::PackFile(const std::string& path,
                   const PackIndex::Shard& wanted,
                   uint64_t pixel_bytes,
                   const ChunkTable& chunks)
    : file_(mapped(path)), chunks_(chunks) {
  if (file_->size() != wanted.bytes) fail_file(path, "has changed while it was opened");
  require_room(path, pixel_bytes);
}

void PackFile::require_room(const std::string& path, uint64_t pixel_bytes) const {
  if (pixel_bytes > chunks_.size() * static_cast<uint64_t>(kPackChunk)) {
    fail_file(path, "has fewer pixels than its index tells of");
  }
}

Bytes PackFile::bytes(uint64_t at, uint64_t size, std::vector<uint8_t>& buffer) const {
  const uint64_t chunk = kPackChunk;
  if (size == 0) return {};  // behind the last chunk, maybe
  if (at % chunk + size <= chunk) return {address(at), size};
  buffer.resize(size);
  for (uint64_t done = 0; done < size;) {
    const uint64_t part = std::min(size - done, chunk - at % chunk);
    std::memcpy(buffer.data() + done, address(at), part);
    done += part;
    at += part;
  }
  return {buffer.data(), size};
}

const uint8_t* PackFile::address(uint64_t at) const {
  return bytes_of(*file_).data + chunks_[at / kPackChunk] + at % kPackChunk;
}

PackFiles::PackFiles(const std::string& path, const PackIndex& index)
    : index_(index), open_(index.shards.size()) {
  for (size_t s = 0; s < index.shards.size(); ++s) {
    paths_.push_back(shard_path(path, index, s));
    std::error_code error;
    const auto bytes = std::filesystem::file_size(paths_[s], error);
    require(!error, "{}: {}; {} needs it", paths_[s], error.message(), path);
    require(bytes == index.shards[s].bytes,
            "{}: belongs to another pack than {}, or is damaged",
            paths_[s],
            path);
  }
  if (index.stem.empty()) open(0);
}

std::shared_ptr<const PackFile> PackFiles::open(size_t shard) {
  {
    const std::lock_guard lock(mutex_);
    open_[shard].used = ++clock_;
    if (open_[shard].file) return open_[shard].file;
  }
  // Without the lock, as it may take its time. Two threads may both do it.
  const auto file = opened(shard);
  keep(shard, file);
  return file;
}

std::shared_ptr<const PackFile> PackFiles::opened(size_t shard) const {
  const auto& [path, wanted] = std::tie(paths_[shard], index_.shards[shard]);
  const uint64_t bytes = index_.bytes_in(shard);
  if (!index_.stem.empty()) return std::make_shared<const PackFile>(path, wanted, bytes);
  return std::make_shared<const PackFile>(path, wanted, bytes, index_.chunks);
}

void PackFiles::keep(size_t shard, const std::shared_ptr<const PackFile>& file) {
  const std::lock_guard lock(mutex_);
  count_ += open_[shard].file ? 0 : 1;
  open_[shard].file = file;
  if (count_ <= kMostOpen) return;
  Open* oldest = nullptr;
  for (auto& open : open_) {
    if (open.file && (oldest == nullptr || open.used < oldest->used)) oldest = &open;
  }
  oldest->file.reset();
  --count_;
}

}  // namespace previt
