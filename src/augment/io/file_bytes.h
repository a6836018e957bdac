#pragma once

#include <string>
#include <vector>

#include "augment/io/exif.h"

namespace previt {

/// A file's content, in a buffer that is reused for the next file.
class FileBytes {
 public:
  /// Valid until the next call. Throws Error, without the path in the message.
  Bytes read(const std::string& path);

 private:
  std::vector<uint8_t> buffer_;
};

}  // namespace previt
