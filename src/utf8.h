#pragma once

#include <string>
#include <string_view>

namespace previt {

/// Whether the bytes are valid UTF-8: no surrogates, no forms longer than needed (RFC 3629).
bool is_utf8(std::string_view text);

/// The text, with each byte that is not UTF-8 written as an escape such as \xE9. Names of files,
/// folders and classes are bytes, and JSON, SVG, HTML, HDF5 and CSV can't hold all of them. The
/// same name always gives the same text.
std::string utf8_or_escaped(const std::string& text);

/// The bytes that utf8_or_escaped made `text` from.
std::string unescaped(const std::string& text);

/// The text, with line ends and other control characters written as escapes such as \x0A. Names can
/// contain them too.
std::string on_one_line(const std::string& text);

}  // namespace previt
