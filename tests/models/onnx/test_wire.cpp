#include "models/onnx/wire.h"
#include "support/catch.h"

using namespace previt::onnx;
using namespace std::string_literals;

TEST_CASE("integers are varints, seven bits a byte, the lowest first", "[onnx]") {
  CHECK(Message().integer(1, 0).bytes() == "\x08\x00"s);
  CHECK(Message().integer(1, 127).bytes() == "\x08\x7F"s);
  CHECK(Message().integer(1, 128).bytes() == "\x08\x80\x01"s);
  // The encoding guide's own example: field 1, 150.
  CHECK(Message().integer(1, 150).bytes() == "\x08\x96\x01"s);
  // Negative numbers are those of 64 bits, which take ten bytes.
  CHECK(Message().integer(3, -1).bytes() == "\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s);
  // A field past 15 has a tag of two bytes: 20 << 3 = 160.
  CHECK(Message().integer(20, 7).bytes() == "\xA0\x01\x07"s);
}

TEST_CASE("floats are four bytes, the lowest first", "[onnx]") {
  CHECK(Message().real(2, 1.0F).bytes() == "\x15\x00\x00\x80\x3F"s);
  CHECK(Message().real(2, -2.5F).bytes() == "\x15\x00\x00\x20\xC0"s);
}

TEST_CASE("texts and messages begin with their size", "[onnx]") {
  CHECK(Message().text(2, "testing").bytes() == "\x12\x07testing"s);
  CHECK(Message().text(2, "").bytes() == "\x12\x00"s);
  CHECK(Message().message(3, Message().integer(1, 150)).bytes() == "\x1A\x03\x08\x96\x01"s);
  CHECK(Message().begin(5, 300).bytes() == "\x2A\xAC\x02"s);
  const std::string large(300, 'x');
  CHECK(Message().text(2, large).bytes() == "\x12\xAC\x02"s + large);
}
