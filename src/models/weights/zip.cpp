#include "models/weights/zip.h"

#include <zlib.h>

#include <algorithm>

#include "error.h"
#include "models/weights/byte_reader.h"

// Source of the layouts: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
namespace previt {
namespace {

constexpr uint64_t kEndSize = 22;
constexpr uint64_t kMaxComment = 65535;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // the value itself is in a zip64 field

struct Archive {
  const char* data;
  uint64_t size;
  const std::string& place;

  ByteReader at(uint64_t offset) const {
    require(offset <= size, "{}: damaged archive", place);
    return {data + offset, size - offset, place};
  }
  uint32_t signature(uint64_t offset) const { return at(offset).number<uint32_t>(); }
};

struct Directory {
  uint64_t entries, offset;
};

// Offset of the end record. It is searched from the end, since a comment of any text may follow it.
uint64_t find_end(const Archive& archive) {
  require(archive.size >= kEndSize, "{}: not a zip archive, or cut short", archive.place);
  const uint64_t last = archive.size - kEndSize;
  const uint64_t first = last - std::min(last, kMaxComment);
  for (uint64_t offset = last + 1; offset-- > first;) {
    if (archive.signature(offset) == kEndSignature) return offset;
  }
  fail("{}: not a zip archive, or cut short", archive.place);
}

Directory find_directory(const Archive& archive) {
  const uint64_t end = find_end(archive);
  ByteReader record = archive.at(end);
  record.take(10);  // signature, numbers of disks, entries on this disk
  const uint64_t entries = record.number<uint16_t>();
  record.take(4);
  const uint64_t offset = record.number<uint32_t>();
  // The locator of a zip64 record, 20 bytes, stands right before the end record.
  if (end < 20 || archive.signature(end - 20) != kLocator64Signature) return {entries, offset};
  ByteReader locator = archive.at(end - 20);
  locator.take(8);  // signature, number of a disk
  const auto end64 = locator.number<uint64_t>();
  require(archive.signature(end64) == kEnd64Signature, "{}: damaged archive", archive.place);
  ByteReader record64 = archive.at(end64);
  record64.take(32);  // up to the number of entries
  const auto entries64 = record64.number<uint64_t>();
  record64.take(8);
  return {entries64, record64.number<uint64_t>()};
}

// Sizes and offset that do not fit into 32 bits are in extra field 1, in this order.
void read_zip64_extra(ByteReader extra, uint64_t& full, uint64_t& stored, uint64_t& local) {
  while (extra.left() >= 4) {
    const auto id = extra.number<uint16_t>();
    const auto size = extra.number<uint16_t>();
    ByteReader field(extra.take(size), size, extra.place());
    if (id != 1) continue;
    for (uint64_t* value : {&full, &stored, &local}) {
      if (*value == kIn64) *value = field.number<uint64_t>();
    }
    return;
  }
}

// The bytes begin behind the local header. Its name and extra field can differ in length from those
// in the directory.
uint64_t data_offset(const Archive& archive, uint64_t local) {
  ByteReader header = archive.at(local);
  require(header.number<uint32_t>() == kLocalSignature, "{}: damaged archive", archive.place);
  header.take(22);  // up to the length of the name
  const uint64_t name = header.number<uint16_t>();
  const uint64_t extra = header.number<uint16_t>();
  header.take(name + extra);
  return local + header.position();
}

std::pair<std::string, ZipEntry> read_entry(const Archive& archive, ByteReader& directory) {
  require(directory.number<uint32_t>() == kCentralSignature, "{}: damaged archive", archive.place);
  directory.take(4);  // versions
  const auto flags = directory.number<uint16_t>();
  const auto method = directory.number<uint16_t>();
  directory.take(4);  // time and date
  ZipEntry entry;
  entry.crc32 = directory.number<uint32_t>();
  uint64_t stored = directory.number<uint32_t>();
  entry.size = directory.number<uint32_t>();
  const uint64_t name_size = directory.number<uint16_t>();
  const uint64_t extra_size = directory.number<uint16_t>();
  const uint64_t comment_size = directory.number<uint16_t>();
  directory.take(8);  // number of a disk, attributes
  uint64_t local = directory.number<uint32_t>();
  const char* name = directory.take(name_size);
  read_zip64_extra(
      {directory.take(extra_size), extra_size, archive.place}, entry.size, stored, local);
  directory.take(comment_size);

  const std::string path(name, name_size);
  require(method == 0 && (flags & 1) == 0 && stored == entry.size,
          "{}: {} is compressed or encrypted",
          archive.place,
          path);
  entry.offset = data_offset(archive, local);
  require(entry.size <= archive.size - entry.offset, "{}: {} is cut short", archive.place, path);
  return {path, entry};
}

}  // namespace

std::map<std::string, ZipEntry> read_zip_directory(const char* data,
                                                   uint64_t size,
                                                   const std::string& place) {
  const Archive archive{data, size, place};
  const Directory directory = find_directory(archive);
  ByteReader reader = archive.at(directory.offset);
  std::map<std::string, ZipEntry> entries;
  for (uint64_t i = 0; i < directory.entries; ++i) entries.insert(read_entry(archive, reader));
  return entries;
}

uint32_t crc32(const char* data, uint64_t size) {
  return static_cast<uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(data), size));
}

}  // namespace previt
