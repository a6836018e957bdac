#include "models/onnx/wire.h"

#include <bit>

namespace previt::onnx {
namespace {

// The last three bits of a tag say how the value is stored.
constexpr int kVarint = 0, kSized = 2, kFourBytes = 5;

uint64_t tag(int field, int kind) { return static_cast<uint64_t>(field) << 3U | kind; }

}  // namespace

void Message::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7U) bytes_.push_back(static_cast<char>(value | 0x80));
  bytes_.push_back(static_cast<char>(value));
}

Message& Message::integer(int field, int64_t value) {
  varint(tag(field, kVarint));
  varint(static_cast<uint64_t>(value));
  return *this;
}

Message& Message::real(int field, float value) {
  varint(tag(field, kFourBytes));
  const auto bits = std::bit_cast<uint32_t>(value);
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes_.push_back(static_cast<char>(bits >> shift));
  }
  return *this;
}

Message& Message::text(int field, std::string_view value) {
  begin(field, value.size());
  bytes_ += value;
  return *this;
}

Message& Message::begin(int field, uint64_t size) {
  varint(tag(field, kSized));
  varint(size);
  return *this;
}

}  // namespace previt::onnx
