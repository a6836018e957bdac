#include "finetune/csv.h"

#include "utf8.h"

namespace previt {

std::string csv_field(const std::string& bytes) {
  const std::string text = utf8_or_escaped(bytes);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace previt
