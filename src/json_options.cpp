#include "json_options.h"

#include <algorithm>
#include <utility>

#include "error.h"

namespace previt {
namespace {

using nlohmann::json;

// True if `from` holds exactly a T: 1.5 is not a whole number, and "1" is not a number.
bool convert(const json& from, double& to) { return from.is_number() && (from.get_to(to), true); }
bool convert(const json& from, int64_t& to) {
  if (!from.is_number_integer()) return false;
  // get_to would wrap such a number around.
  if (from.is_number_unsigned() && from.get<uint64_t>() > INT64_MAX) return false;
  return from.get_to(to), true;
}
bool convert(const json& from, bool& to) { return from.is_boolean() && (from.get_to(to), true); }
bool convert(const json& from, std::string& to) {
  return from.is_string() && (from.get_to(to), true);
}

template <class T>
bool convert(const json& from, std::vector<T>& to) {
  if (!from.is_array()) return false;
  to.clear();
  return std::all_of(from.begin(), from.end(), [&](const json& item) {
    T value{};
    if (!convert(item, value)) return false;
    to.push_back(value);
    return true;
  });
}

json json_of(const EnumField& value) { return value.name(); }
template <class T>
json json_of(const T* value) {
  return *value;
}

bool in_range(double value, const Range& range) { return range.contains(value); }
bool in_range(int64_t value, const Range& range) {
  return range.contains(static_cast<double>(value));
}
bool in_range(bool, const Range&) { return true; }
template <class T>
bool in_range(const std::vector<T>& values, const Range& range) {
  return std::all_of(values.begin(), values.end(), [&](T value) { return in_range(value, range); });
}

}  // namespace

void JsonOptionsWriter::field(const Field& field) {
  stack_.back()[field.name] =
      std::visit([](const auto& value) { return json_of(value); }, field.value);
}

void JsonOptionsWriter::enter(const char* name) {
  names_.push_back(name);
  stack_.push_back(json::object());
}

void JsonOptionsWriter::leave() {
  json section = std::move(stack_.back());
  stack_.pop_back();
  stack_.back()[names_.back()] = std::move(section);
  names_.pop_back();
}

JsonOptionsReader::JsonOptionsReader(const json& object, std::string place)
    : place_(std::move(place)), stack_{object} {
  require(object.is_object(), "{}: not a JSON object", place_);
}

const json* JsonOptionsReader::take(const char* name) {
  const auto it = stack_.back().find(name);
  if (it == stack_.back().end()) return nullptr;
  taken_ = std::move(*it);
  stack_.back().erase(it);
  return &taken_;
}

template <class T>
void JsonOptionsReader::read(const Field& field, const json& found, T* value) const {
  T converted{};
  require(convert(found, converted),
          "{}: {}: {} is of the wrong type",
          place_,
          field.name,
          found.dump());
  require(in_range(converted, field.range),
          "{}: {}: {} is not in {}",
          place_,
          field.name,
          found.dump(),
          field.range.text());
  *value = std::move(converted);
}

void JsonOptionsReader::read(const Field& field, const json& found, std::string* value) const {
  std::string word;
  require(
      convert(found, word), "{}: {}: {} is of the wrong type", place_, field.name, found.dump());
  require(word == *value || field.allows(word),
          "{}: {}: {} is not one of {}",
          place_,
          field.name,
          word,
          fmt::join(field.choices, ", "));
  *value = std::move(word);
}

void JsonOptionsReader::read(const Field& field, const json& found, const EnumField& value) const {
  std::string word = value.name();
  read(field, found, &word);
  value.set(word, place_);
}

void JsonOptionsReader::field(const Field& field) {
  const json* found = take(field.name);
  if (found == nullptr) return;
  std::visit([&](const auto& value) { read(field, *found, value); }, field.value);
}

void JsonOptionsReader::check(const char* name, const std::string& problem) {
  require(problem.empty(), "{}: {}: {}", place_, name, problem);
}

void JsonOptionsReader::enter(const char* name) {
  const json* section = take(name);
  require(section == nullptr || section->is_object(), "{}: {}: not a JSON object", place_, name);
  names_.push_back(name);
  stack_.push_back(section == nullptr ? json::object() : std::move(taken_));
}

void JsonOptionsReader::leave() {
  require_all_read();
  stack_.pop_back();
  names_.pop_back();
}

void JsonOptionsReader::require_all_read() const {
  if (stack_.back().empty()) return;
  fail("{}: {}: unknown key", place_, stack_.back().begin().key());
}

}  // namespace previt
