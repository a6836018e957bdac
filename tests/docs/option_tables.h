#pragma once

#include <fmt/ranges.h>

#include <string>
#include <variant>
#include <vector>

#include "options.h"

namespace previt::test {

struct ListedOption {
  std::string name, value, allowed, help;
};
struct ListedSection {
  std::string path;  ///< "dino.head"; "": the recipe's root
  std::vector<ListedOption> options;
};

/// Collects what a recipe may say, section by section, in the order in which they are entered.
class OptionTables final : public FieldVisitor {
 public:
  void field(const Field& field) override {
    sections_[open_.back()].options.push_back(
        {field.name, field.text(), allowed_of(field), field.help});
  }
  const std::vector<ListedSection>& sections() const { return sections_; }

  /// Full keys of the options without a help text.
  std::vector<std::string> without_help() const {
    std::vector<std::string> keys;
    for (const auto& section : sections_) {
      for (const auto& option : section.options) {
        if (option.help.empty()) keys.push_back(section.path + "." + option.name);
      }
    }
    return keys;
  }

 protected:
  void enter(const char* name) override {
    const std::string& outer = sections_[open_.back()].path;
    open_.push_back(sections_.size());
    sections_.push_back({outer.empty() ? name : outer + "." + name, {}});
  }
  void leave() override { open_.pop_back(); }

 private:
  static std::string allowed_of(const Field& field) {
    const std::string words = fmt::format("{}", fmt::join(field.choices, ", "));
    if (field.is_word()) return words.empty() ? "text" : words;
    if (std::holds_alternative<bool*>(field.value)) return "true, false";
    const bool list = std::holds_alternative<std::vector<double>*>(field.value) ||
                      std::holds_alternative<std::vector<int64_t>*>(field.value);
    const bool whole = std::holds_alternative<int64_t*>(field.value) ||
                       std::holds_alternative<std::vector<int64_t>*>(field.value);
    const bool bounded = field.range.low != -kInfinity || field.range.high != kInfinity;
    return fmt::format("{}{}{}number{}{}{}",
                       words.empty() ? "" : words + " or ",
                       list ? "list of " : "",
                       whole ? "whole " : "",
                       list ? "s" : "",
                       bounded ? " in " : "",
                       bounded ? field.range.text() : "");
  }

  std::vector<ListedSection> sections_ = {{}};
  std::vector<size_t> open_ = {0};
};

}  // namespace previt::test
