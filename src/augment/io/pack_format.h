#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "augment/io/exif.h"
#include "files.h"

namespace previt {

/// NOTE [Packs]
/// A pack is an HDF5 file of N images:
///   bytes         uint8, all images one after the other, in chunks of kPackChunk without filters
///   offsets       uint64 [N], where in `bytes` each one ends
///   sizes         int32 [2N], height and width, upright
///   labels        int32 [N], -1: none
///   splits        uint8 [N], 0 train, 1 val
///   names         uint8, zero-ended; name_ends uint64 [N]
///   class_names   uint8, zero-ended
/// and attributes `format`, `store` ("encoded": image files; "raw": height x width x 3 pixels),
/// `max_side`, `source`, `contents`, `inputs`, `next_input`, `skipped`.
/// While it is written it is called <name>.partial, and its last commit is enough to go on from. A
/// finished pack ends in a trailer behind HDF5's own end: where the chunks of `bytes` lie, and a
/// checksum of everything else. Readers map the chunks into memory and need HDF5 only to open it.
///
/// A pack in several files is an index, under the pack's name, and shards beside it,
/// <stem>-00000-of-00007.h5 and so on. A shard is a pack itself, with attribute `first_input`. The
/// index has all datasets but `bytes`, as if the shards were one pack, in one piece each, and
///   shard_images  uint64 [S], up to and including each shard
///   shard_sizes   uint64 [S], of the files in bytes
///   shard_sums    uint64 [S], the checksums in their trailers
/// and attributes `format` (kShardedFormat), `store` and `shards`, the stem of their names. It ends
/// in a trailer without chunks.
constexpr int64_t kPackChunk = int64_t{4} << 20;  ///< bytes
constexpr const char* kPackFormat = "previt-pack-1";
constexpr const char* kShardedFormat = "previt-pack-index-1";

/// How a pack holds its images: as image files, or as pixels.
enum class PixelStore { encoded, raw };
constexpr auto enum_names(PixelStore) { return std::array{"encoded", "raw"}; }

/// What a pack is made of, and how.
struct PackInfo {
  PixelStore store = PixelStore::encoded;
  int64_t max_side = 0;    ///< pixels of the longer side at most; 0: any
  std::string source;      ///< what was packed
  std::string contents{};  ///< a checksum of the names of its images and classes
  int64_t inputs = 0;      ///< how many images the source has
  std::vector<std::string> class_names{};
  int64_t first_input = -1;  ///< of a shard; -1: the pack is one file
};

inline Bytes bytes_of(const MappedFile& file) {
  return {reinterpret_cast<const uint8_t*>(file.data()), file.size()};
}

/// Where the chunks of `bytes` begin in the file.
using ChunkTable = std::vector<uint64_t>;

/// Appends the trailer to a closed file. Throws Error.
void append_trailer(const std::string& path, const ChunkTable& chunks);

struct PackTrailer {
  ChunkTable chunks;
  uint64_t checksum = 0;  ///< of all but the chunks
};

/// Checks the trailer of a mapped file. Throws Error led by `path` if it isn't a pack, is cut short
/// or damaged.
PackTrailer read_trailer(Bytes file, const std::string& path);

}  // namespace previt
