#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace previt {

/// The values a number may take, printed as in "1.5 is not in (0, 1)".
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;

  bool contains(double value) const;
  std::string text() const;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline Range between(double low, double high) { return {low, high}; }             // [low, high]
inline Range inside(double low, double high) { return {low, high, true, true}; }  // (low, high)
inline Range at_least(double low) { return {low, kInfinity}; }                    // [low, ∞)
inline Range above(double low) { return {low, kInfinity, true}; }                 // (low, ∞)

using Choices = std::vector<std::string>;

/// An enum that recipes write by name: its values count from 0, and `enum_names` beside it gives
/// their names in that order.
///
///     enum class Pooling { cls, avg };
///     constexpr auto enum_names(Pooling) { return std::array{"cls", "avg"}; }
template <class Enum>
concept NamedEnum = std::is_enum_v<Enum> && requires(Enum value) { enum_names(value); };

/// The name of a value, as recipes write it.
template <NamedEnum Enum>
constexpr const char* name_of(Enum value) {
  return enum_names(value)[static_cast<size_t>(value)];
}

/// A variable of any NamedEnum type, read and written by name. The variable must outlive it.
class EnumField {
 public:
  template <NamedEnum Enum>
  explicit EnumField(Enum& value)
      : value_(&value),
        get_([](const void* from) { return static_cast<size_t>(*static_cast<const Enum*>(from)); }),
        set_([](void* to, size_t index) { *static_cast<Enum*>(to) = static_cast<Enum>(index); }) {
    const auto names = enum_names(value);
    choices_.assign(names.begin(), names.end());
  }

  const Choices& choices() const { return choices_; }
  const std::string& name() const { return choices_[get_(value_)]; }
  /// Throws Error "<place>: <name> is not one of …" unless it is.
  void set(const std::string& name, const std::string& place) const;

 private:
  void* value_;
  size_t (*get_)(const void*);
  void (*set_)(void*, size_t);
  Choices choices_;
};

/// Throws UsageError "<place>: <word> is not one of …" unless `choices` holds the word.
void require_choice(const std::string& word, const Choices& choices, const std::string& place);

/// The value called `name`. Throws UsageError, as require_choice does, if there is none.
template <NamedEnum Enum>
Enum enum_named(const std::string& name, const std::string& place) {
  Enum value{};
  const EnumField field(value);
  require_choice(name, field.choices(), place);
  field.set(name, place);
  return value;
}

/// The variable that a field reads or sets.
using FieldValue = std::variant<double*,
                                int64_t*,
                                bool*,
                                std::string*,
                                std::vector<double>*,
                                std::vector<int64_t>*,
                                EnumField>;

/// One option, as a visitor sees it.
struct Field {
  const char* name;
  const char* help;
  FieldValue value;
  Range range = {};      ///< of a number, and of each number in a list
  Choices choices = {};  ///< of a word, empty: any word; of a number: words for -1, -2 …

  bool is_word() const;                        ///< a string or an enum
  std::string text() const;                    ///< the value as it is now; lists as "[1, 2]"
  bool allows(const std::string& word) const;  ///< by its choices
};

/// Walks the fields of an options struct. An options type `Foo` is an aggregate with defaults and
/// one free function `void visit(FieldVisitor&, Foo&)` that names each field once, with help and
/// range; reading a recipe, `--set`, range errors and the resolved recipe all come from that list.
///
///     struct EmaOptions { double decay = 0; };
///     void visit(FieldVisitor& v, EmaOptions& o) {
///       v.field("decay", o.decay, "0 turns the moving average off", between(0, 1));
///     }
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  virtual void field(const Field& field) = 0;

  /// Numbers, booleans and lists of numbers.
  template <class T>
    requires(!NamedEnum<T>)
  void field(const char* name, T& value, const char* help, Range range = {}) {
    field(Field{name, help, &value, range});
  }
  /// A whole number, or one of `words`, which stand for -1, -2 …
  void field(
      const char* name, int64_t& value, const char* help, const Range& range, Choices words) {
    field(Field{name, help, &value, range, std::move(words)});
  }
  void field(const char* name, std::string& value, const char* help, Choices choices = {}) {
    field(Field{name, help, &value, {}, std::move(choices)});
  }
  template <NamedEnum Enum>
  void field(const char* name, Enum& value, const char* help) {
    const EnumField named(value);
    field(Field{name, help, named, {}, named.choices()});
  }

  /// Says what is wrong with a field that was visited before, if its range can't; a `problem` of ""
  /// means nothing is. `name` may be inside a section, as "normalize.mean". Readers throw an error
  /// with the problem, led by the field's place.
  virtual void check(const char* /*name*/, const std::string& /*problem*/) {}

  /// A nested options struct under its own key.
  template <class Options>
  void section(const char* name, Options& options) {
    enter(name);
    visit(*this, options);
    leave();
  }

 protected:
  virtual void enter(const char* name) = 0;
  virtual void leave() = 0;
};

}  // namespace previt
