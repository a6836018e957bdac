#pragma once

#include <string>
#include <vector>

#include "augment/io/exif.h"

namespace previt {

/// Reads files whole, into a buffer that is reused for the next file.
class FileBytes {
 public:
  /// The file's bytes, valid until the next call. Throws Error, without the path in the message, if
  /// it can't be read, is not a regular file or has more than 1 GiB.
  Bytes read(const std::string& path);

 private:
  std::vector<uint8_t> buffer_;
};

}  // namespace previt
