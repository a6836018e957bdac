#pragma once

#include <string>
#include <string_view>

namespace previt {

bool is_utf8(std::string_view text);

/// Names of files, folders and classes are bytes, which JSON, SVG, HTML, HDF5 and CSV can't all
/// hold: the text as it is where it is UTF-8, else with each byte that isn't written as \xE9. The
/// same name always gives the same text.
std::string utf8_or_escaped(const std::string& text);

/// The bytes of what `utf8_or_escaped` made.
std::string unescaped(const std::string& text);

/// Without line ends and other control characters, which names may have too: as \x0A.
std::string on_one_line(const std::string& text);

}  // namespace previt
