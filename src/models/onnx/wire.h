#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace previt::onnx {

/// A message in the wire format of protocol buffers (protobuf.dev/programming-guides/encoding),
/// field after field. What ONNX needs of it: integers as varints, floats, texts, messages.
class Message {
 public:
  Message& integer(int field, int64_t value);
  Message& real(int field, float value);
  Message& text(int field, std::string_view value);  ///< also bytes
  Message& message(int field, const Message& value) { return text(field, value.bytes_); }

  /// Begins a text or message of `size` bytes, which the caller writes after bytes().
  Message& begin(int field, uint64_t size);

  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value);

  std::string bytes_;
};

}  // namespace previt::onnx
