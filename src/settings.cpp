#include "settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "utf8.h"

namespace previt {

void SettingsList::add(const char* name, std::string text) {
  std::string key;
  for (const auto& section : path_) key += section + ".";
  settings_.emplace_back(key + name, utf8_or_escaped(text));
}

void SettingsList::field(const char* name, double& value, const char*, Range) {
  add(name, fmt::format("{}", value));
}
void SettingsList::field(const char* name, int64_t& value, const char*, Range) {
  add(name, fmt::format("{}", value));
}
void SettingsList::field(const char* name, bool& value, const char*) {
  add(name, value ? "true" : "false");
}
void SettingsList::field(const char* name, std::string& value, const char*, Choices) {
  add(name, value);
}
void SettingsList::field(const char* name, std::vector<double>& value, const char*, Range) {
  add(name, fmt::format("[{}]", fmt::join(value, ", ")));
}
void SettingsList::field(const char* name, std::vector<int64_t>& value, const char*, Range) {
  add(name, fmt::format("[{}]", fmt::join(value, ", ")));
}

}  // namespace previt
