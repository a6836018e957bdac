#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "utf8.h"

namespace previt {

/// Makes every text in a document one that JSON can hold.
template <class Json>
void escape_texts(Json& value) {
  if (value.is_string()) {
    value = utf8_or_escaped(value.template get<std::string>());
  } else if (value.is_structured()) {
    for (auto& item : value) escape_texts(item);
  }
}

/// The document as text, whatever bytes the names in it have; nlohmann's dump throws on some.
template <class Json>
std::string json_text(Json value, int indent = -1) {
  escape_texts(value);
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace previt
