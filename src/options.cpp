#include "options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "error.h"
#include "nearest_word.h"

namespace previt {
namespace {

std::string text_of(const EnumField& value) { return value.name(); }
template <class T>
std::string text_of(const T* value) {
  return fmt::format("{}", *value);
}

}  // namespace

bool Range::contains(double value) const {
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Range::text() const {
  // An infinite end can't be reached, so it prints as open.
  return fmt::format("{}{}, {}{}",
                     low_open || low == -kInfinity ? '(' : '[',
                     low,
                     high,
                     high_open || high == kInfinity ? ')' : ']');
}

void EnumField::set(const std::string& name, const std::string& place) const {
  const auto it = std::find(choices_.begin(), choices_.end(), name);
  require(it != choices_.end(), "{}: {} is not one of {}", place, name, fmt::join(choices_, ", "));
  set_(value_, static_cast<size_t>(it - choices_.begin()));
}

void require_choice(const std::string& word, const Choices& choices, const std::string& place) {
  if (std::find(choices.begin(), choices.end(), word) != choices.end()) return;
  fail_usage("{}: {} is not one of {}{}",
             place,
             word,
             fmt::join(choices, ", "),
             did_you_mean(word, choices));
}

bool Field::is_word() const {
  return std::holds_alternative<std::string*>(value) || std::holds_alternative<EnumField>(value);
}

std::string Field::text() const {
  const auto* number = std::get_if<int64_t*>(&value);
  if (number != nullptr && **number < 0 && !choices.empty()) {
    return choices.at(static_cast<size_t>(-1 - **number));
  }
  return std::visit([](const auto& held) { return text_of(held); }, value);
}

bool Field::allows(const std::string& word) const {
  return choices.empty() || std::find(choices.begin(), choices.end(), word) != choices.end();
}

}  // namespace previt
