#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace previt {

/// The table of contents of a zip archive whose entries are stored, not compressed (torch.save's).
struct ZipEntry {
  uint64_t offset = 0;  ///< of the entry's bytes in the archive
  uint64_t size = 0;
  uint32_t crc32 = 0;
};

/// Understands zip64. Throws Error, led by `place`, for anything that is not a whole and consistent
/// archive. Every entry lies inside `size`; checksums are the caller's, with crc32().
std::map<std::string, ZipEntry> read_zip_directory(const char* data,
                                                   uint64_t size,
                                                   const std::string& place);

/// The checksum of zip archives (CRC-32).
uint32_t crc32(const char* data, uint64_t size);

}  // namespace previt
