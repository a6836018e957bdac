#pragma once

#include <cstdint>
#include <string>

namespace previt {

/// Reads bytes in memory within their bounds. Throws Error, led by `place`, if fewer are left than
/// asked for.
class ByteReader {
 public:
  ByteReader(const char* data, uint64_t size, std::string place);

  const char* take(uint64_t size);  ///< the next `size` bytes
  template <class T>
  T number();          ///< little-endian
  std::string line();  ///< the text before the next newline, which is read too
  uint64_t position() const { return position_; }
  uint64_t left() const { return size_ - position_; }
  const std::string& place() const { return place_; }

 private:
  const char* data_;
  uint64_t size_;
  uint64_t position_ = 0;
  std::string place_;
};

}  // namespace previt
