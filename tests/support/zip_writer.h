#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/weights/zip.h"

namespace previt {

/// The lowest `bytes` bytes of a value, the lowest first.
inline std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(i < 8 ? static_cast<char>(value >> (8 * i)) : 0);
  return text;
}

/// A zip archive of stored entries, as torch.save writes one.
inline std::string write_zip(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive, directory;
  for (const auto& [name, data] : files) {
    const uint64_t offset = archive.size();
    // flags, method, time, date, checksum, both sizes, length of the name, of the extra field
    const std::string common = little_endian(0, 8) +
                               little_endian(crc32(data.data(), data.size()), 4) +
                               little_endian(data.size(), 4) + little_endian(data.size(), 4) +
                               little_endian(name.size(), 2) + little_endian(0, 2);
    archive += "PK\3\4" + little_endian(20, 2) + common + name + data;
    directory += "PK\1\2" + little_endian(20, 2) + little_endian(20, 2) + common +
                 little_endian(0, 10) + little_endian(offset, 4) + name;
  }
  const std::string count = little_endian(files.size(), 2);
  return archive + directory + "PK\5\6" + little_endian(0, 4) + count + count +
         little_endian(directory.size(), 4) + little_endian(archive.size(), 4) +
         little_endian(0, 2);
}

}  // namespace previt
