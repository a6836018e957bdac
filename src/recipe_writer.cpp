#include "recipe_writer.h"

#include <yaml-cpp/yaml.h>

#include "utf8.h"

namespace previt {
namespace {

// Quotes a string that YAML would read as something else, or that has special characters.
std::string yaml_word(const std::string& value) {
  YAML::Emitter emitter;
  emitter << YAML::DoubleQuoted << utf8_or_escaped(value);
  const bool plain = !value.empty() &&
                     value.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO"
                         "PQRSTUVWXYZ_/.") == std::string::npos &&
                     value != "true" && value != "false" && value != "null" && value != "yes" &&
                     value != "no" && value != "on" && value != "off";
  return plain ? value : emitter.c_str();
}

}  // namespace

void RecipeWriter::field(const Field& field) {
  const std::string value = field.is_word() ? yaml_word(field.text()) : field.text();
  text_ += fmt::format("{:{}}{}: {}  # {}\n", "", 2 * depth_, field.name, value, field.help);
}
void RecipeWriter::enter(const char* name) {
  text_ += fmt::format("{:{}}{}:\n", "", 2 * depth_++, name);
}
void RecipeWriter::leave() { --depth_; }

}  // namespace previt
