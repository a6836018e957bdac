#include "json_text.h"
#include "settings.h"
#include "support/catch.h"
#include "utf8.h"

using namespace previt;

TEST_CASE("text that is UTF-8 stays, other bytes are escaped, each in one way") {
  for (const std::string good : {"",
                                 "a\\xE9",
                                 "caf\xC3\xA9",
                                 "\xE7\x8C\xAB",
                                 "\xF0\x9F\x90\x88",
                                 "\xF4\x8F\xBF\xBF",
                                 "\x7F"}) {
    CHECK(is_utf8(good));
    CHECK(utf8_or_escaped(good) == good);
  }
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"caf\xE9", "caf\\xE9"},     // Latin-1
      {"\xE7\x8C", "\\xE7\\x8C"},  // cut short
      {"\xC0\xAF", "\\xC0\\xAF"},  // longer than needed
      {"\xE0\x80\x80", "\\xE0\\x80\\x80"},
      {"\xF0\x80\x80\x80", "\\xF0\\x80\\x80\\x80"},
      {"\xED\xA0\x80", "\\xED\\xA0\\x80"},           // half of a pair
      {"\xF4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"},  // beyond the last character
      {"\xFF\xFEx", "\\xFF\\xFEx"},
      {"\xC3\xA9\xE9", "\xC3\xA9\\xE9"}};
  for (const auto& [bytes, text] : bad) {
    CHECK_FALSE(is_utf8(bytes));
    CHECK(utf8_or_escaped(bytes) == text);
    CHECK(unescaped(text) == bytes);
  }
}

TEST_CASE("what is no whole escape stays") {
  for (const std::string text : {"", "\\", "a\\x", "\\x4", "\\xZZ", "\\x-1", "\\n"})
    CHECK(unescaped(text) == text);
}

TEST_CASE("a line is one, whatever names are in it") {
  CHECK(on_one_line("caf\xC3\xA9 \xE9") == "caf\xC3\xA9 \xE9");
  CHECK(on_one_line("re\nd\r\x1B[31m") == "re\\x0Ad\\x0D\\x1B[31m");
}

TEST_CASE("a document with names of any bytes becomes JSON that reads back") {
  const nlohmann::json document = {{"names", {"caf\xE9", "dog"}}, {"deep", {{"path", "\xFF"}}}};
  const auto back = nlohmann::json::parse(json_text(document));
  CHECK(back["names"][0] == "caf\\xE9");
  CHECK(back["names"][1] == "dog");
  CHECK(back["deep"]["path"] == "\\xFF");
}
