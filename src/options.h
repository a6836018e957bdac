#pragma once

#include <cstdint>
#include <limits>
#include <string>
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

  virtual void field(const char* name, double& value, const char* help, Range range = {}) = 0;
  virtual void field(const char* name, int64_t& value, const char* help, Range range = {}) = 0;
  virtual void field(const char* name, bool& value, const char* help) = 0;
  virtual void field(const char* name,
                     std::string& value,
                     const char* help,
                     Choices choices = {}) = 0;
  virtual void field(const char* name,
                     std::vector<double>& value,
                     const char* help,
                     Range range = {}) = 0;
  virtual void field(const char* name,
                     std::vector<int64_t>& value,
                     const char* help,
                     Range range = {}) = 0;

  /// What is wrong with a field that was visited before, where its range can't say it; "": nothing.
  /// `name` may lie in a section: "normalize.mean". Readers fail with it at the field's place.
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
