#include "utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace previt {
namespace {

bool continues(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// How many bytes the first character of `text` has; 0 if it is not valid: a stray or missing byte,
// a longer form than needed, a surrogate, or beyond U+10FFFF.
size_t character_size(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if (!continues(byte(i))) return 0;
  }
  if (first == 0xE0 && byte(1) < 0xA0) return 0;  // two bytes would do
  if (first == 0xED && byte(1) > 0x9F) return 0;  // a surrogate
  if (first == 0xF0 && byte(1) < 0x90) return 0;  // three bytes would do
  if (first == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
  return size;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string utf8_or_escaped(const std::string& text) {
  std::string safe;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t size = character_size(rest);
    if (size == 0) {
      safe += fmt::format("\\x{:02X}", static_cast<unsigned char>(rest.front()));
      rest.remove_prefix(1);
    } else {
      safe += rest.substr(0, size);
      rest.remove_prefix(size);
    }
  }
  return safe;
}

std::string unescaped(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* digits = text.data() + std::min(i + 2, text.size());
    const bool escape = text.compare(i, 2, "\\x") == 0 && i + 4 <= text.size() &&
                        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    bytes += escape ? static_cast<char>(byte) : text[i];
    if (escape) i += 3;
  }
  return bytes;
}

std::string on_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      line += fmt::format("\\x{:02X}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace previt
