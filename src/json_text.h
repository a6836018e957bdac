#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

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

/// Lists and objects in one another that a document may have. nlohmann copies and compares by
/// recursion, so that a hostile file would otherwise take the whole stack.
constexpr int kMaxJsonDepth = 64;

/// The text of a file as JSON. Text that is none, or deeper than kMaxJsonDepth, is discarded
/// (is_discarded()).
template <class Json = nlohmann::json>
Json json_or_discarded(std::string_view text) {
  struct TooDeep {};
  const auto check = [](int depth, typename Json::parse_event_t /*event*/, Json& /*value*/) {
    if (depth > kMaxJsonDepth) throw TooDeep();
    return true;
  };
  try {
    return Json::parse(text, check, /*allow_exceptions=*/false);
  } catch (const TooDeep&) {
    return Json(Json::value_t::discarded);
  }
}

/// The same; throws Error led by `place` for text that is discarded.
inline nlohmann::json parse_json(std::string_view text, const std::string& place) {
  nlohmann::json parsed = json_or_discarded(text);
  require(!parsed.is_discarded(), "{}: not valid JSON, or nested too deeply", place);
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
