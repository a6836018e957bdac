#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "error.h"
#include "utf8.h"

namespace previt {

/// In every text of a document, escapes the bytes that JSON can't hold (utf8_or_escaped).
template <class Json>
void escape_texts(Json& value) {
  if (value.is_string()) {
    value = utf8_or_escaped(value.template get<std::string>());
  } else if (value.is_structured()) {
    for (auto& item : value) escape_texts(item);
  }
}

/// The text as JSON. Throws Error led by `place` if it is none.
inline nlohmann::json parse_json(const std::string& text, const std::string& place) {
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  require(!parsed.is_discarded(), "{}: not valid JSON", place);
  return parsed;
}

/// The document as text, whatever bytes its texts have. nlohmann's dump alone throws if they are
/// not UTF-8.
template <class Json>
std::string json_text(Json value, int indent = -1) {
  escape_texts(value);
  // Keys are not escaped above: `replace` keeps dump from throwing on one.
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace previt
