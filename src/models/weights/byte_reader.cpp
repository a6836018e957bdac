#include "models/weights/byte_reader.h"

#include <cstring>
#include <utility>

#include "error.h"

namespace previt {

ByteReader::ByteReader(const char* data, uint64_t size, std::string place)
    : data_(data), size_(size), place_(std::move(place)) {}

const char* ByteReader::take(uint64_t size) {
  require(size <= left(), "{}: cut short", place_);
  const char* data = data_ + position_;
  position_ += size;
  return data;
}

template <class T>
T ByteReader::number() {
  T value;
  std::memcpy(&value, take(sizeof value), sizeof value);
  return value;
}
template uint8_t ByteReader::number();
template uint16_t ByteReader::number();
template uint32_t ByteReader::number();
template uint64_t ByteReader::number();
template int32_t ByteReader::number();
template int64_t ByteReader::number();

std::string ByteReader::line() {
  const auto* begin = data_ + position_;
  const auto* end = static_cast<const char*>(std::memchr(begin, '\n', left()));
  require(end != nullptr, "{}: cut short", place_);
  position_ += static_cast<uint64_t>(end - begin) + 1;
  return {begin, end};
}

}  // namespace previt
