#include "settings.h"

#include "utf8.h"

namespace previt {

void SettingsList::field(const Field& field) {
  std::string key;
  for (const auto& section : path_) key += section + ".";
  settings_.emplace_back(key + field.name, utf8_or_escaped(field.text()));
}

}  // namespace previt
