#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "options.h"

namespace previt {

/// Collects options as a JSON object.
class JsonOptionsWriter final : public FieldVisitor {
 public:
  void field(const Field& field) override;

  nlohmann::json result() && { return std::move(stack_.front()); }

 protected:
  void enter(const char* name) override;
  void leave() override;

 private:
  std::vector<nlohmann::json> stack_ = {nlohmann::json::object()};
  std::vector<std::string> names_;
};

/// Fills options from a JSON object; absent keys keep their defaults. Throws Error, led by `place`,
/// for a wrong type, a value out of range, and a key that no field has: a newer version may have
/// written it and mean what this one can't do.
class JsonOptionsReader final : public FieldVisitor {
 public:
  JsonOptionsReader(const nlohmann::json& object, std::string place);

  void field(const Field& field) override;
  void check(const char* name, const std::string& problem) override;

  void require_all_read() const;  ///< throws Error for a key that no field took; call at the end

 protected:
  void enter(const char* name) override;
  void leave() override;

 private:
  const nlohmann::json* take(const char* name);
  template <class T>
  void read(const Field& field, const nlohmann::json& found, T* value) const;
  void read(const Field& field, const nlohmann::json& found, std::string* value) const;
  void read(const Field& field, const nlohmann::json& found, const EnumField& value) const;

  std::string place_;
  std::vector<nlohmann::json> stack_;  // what is left to read, section by section
  std::vector<std::string> names_;
  nlohmann::json taken_;
};

/// The options as a JSON object, sections as objects in it.
template <class Options>
nlohmann::json options_to_json(Options options) {
  JsonOptionsWriter writer;
  visit(writer, options);
  return std::move(writer).result();
}

/// The inverse. Throws Error, led by `place`, as JsonOptionsReader does.
template <class Options>
Options options_from_json(const nlohmann::json& object, const std::string& place) {
  Options options;
  JsonOptionsReader reader(object, place);
  visit(reader, options);
  reader.require_all_read();
  return options;
}

}  // namespace previt
