#include "augment/io/pack_format.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <utility>

#include "error.h"
#include "files.h"

namespace previt {
namespace {

constexpr uint64_t kPackMagic = 0x31474b5054495650;  // "PVITPKG1"

/// The file's last bytes; the chunk table lies before them.
struct Trailer {
  uint64_t chunks = 0;
  uint64_t checksum = 0;
  uint64_t magic = kPackMagic;
};

/// The checksum of all but the chunks, which must be plausible().
uint64_t checksum_around(Bytes file, ChunkTable chunks) {
  std::sort(chunks.begin(), chunks.end());
  Checksum checksum;
  checksum.update(chunks.data(), chunks.size() * sizeof(uint64_t));
  size_t at = 0;
  for (const uint64_t chunk : chunks) {
    checksum.update(file.data + at, chunk - at);
    at = chunk + kPackChunk;
  }
  checksum.update(file.data + at, file.size - at);
  return checksum.value();
}

/// Whether no chunk overlaps another or leaves the file.
bool plausible(ChunkTable chunks, size_t file_size) {
  std::sort(chunks.begin(), chunks.end());
  uint64_t end = 0;
  for (const uint64_t chunk : chunks) {
    if (chunk < end || chunk > file_size || file_size - chunk < kPackChunk) return false;
    end = chunk + kPackChunk;
  }
  return true;
}

}  // namespace

void append_trailer(const std::string& path, const ChunkTable& chunks) {
  Trailer trailer{.chunks = chunks.size()};
  {
    const MappedFile file(path);
    require(plausible(chunks, bytes_of(file).size),
            "{}: its chunks are not where they should be",
            path);
    trailer.checksum = checksum_around(bytes_of(file), chunks);
  }
  std::ofstream out(path, std::ios::binary | std::ios::app);
  out.write(reinterpret_cast<const char*>(chunks.data()),
            static_cast<std::streamsize>(chunks.size() * 8));
  out.write(reinterpret_cast<const char*>(&trailer), sizeof trailer);
  out.close();
  require_system(out.good(), path);
}

PackTrailer read_trailer(Bytes file, const std::string& path) {
  require(file.starts_with("\x89HDF\r\n\x1A\n", 8),
          "{}: not an image pack; wanted is one of pack_dataset or a folder of images",
          path);
  Trailer trailer;
  require(file.size >= sizeof trailer, "{}: cut short", path);
  std::memcpy(&trailer, file.data + file.size - sizeof trailer, sizeof trailer);
  require(
      trailer.magic == kPackMagic, "{}: not a pack that pack_dataset finished, or cut short", path);
  const size_t room = file.size - sizeof trailer;
  require(trailer.chunks <= room / 8, "{}: damaged", path);
  ChunkTable chunks(trailer.chunks);
  file.size = room - chunks.size() * 8;
  if (!chunks.empty()) std::memcpy(chunks.data(), file.data + file.size, chunks.size() * 8);
  require(plausible(chunks, file.size) && checksum_around(file, chunks) == trailer.checksum,
          "{}: damaged",
          path);
  return {std::move(chunks), trailer.checksum};
}

}  // namespace previt
