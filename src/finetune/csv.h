#pragma once

#include <string>

namespace previt {

/// One field of a CSV line (RFC 4180): quoted where it holds a comma, a quote or a line break.
/// Bytes that are not UTF-8 are escaped (utf8_or_escaped).
std::string csv_field(const std::string& text);

}  // namespace previt
