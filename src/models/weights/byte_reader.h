#pragma once

#include <cstdint>
#include <string>

namespace previt {

/// Bounded reading of bytes in memory; Error led by `place` at the end.
class ByteReader {
 public:
  ByteReader(const char* data, uint64_t size, std::string place);

  const char* take(uint64_t size);
  template <class T>
  T number();          ///< little-endian
  std::string line();  ///< up to a newline, which is taken too
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
