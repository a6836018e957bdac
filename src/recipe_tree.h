#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <utility>

namespace previt {

/// One key of a recipe.
struct RecipeEntry {
  std::string where;  ///< the "file:line" or "--set …" that set it last
  YAML::Node value;   ///< scalar or sequence; null for a section
  bool is_section = false;
  std::map<std::string, RecipeEntry> children;
};

/// `name` inside `section`, which is "" at the root: "section.name".
std::string join_key(const std::string& section, const std::string& name);

/// The keys of a recipe: its own over those of the files that it inherits, and what was set over
/// both. Throws UsageError led by file and line.
class RecipeTree {
 public:
  static RecipeTree load(const std::string& path);
  static RecipeTree parse(const std::string& text, const std::string& name);

  /// As Recipe's.
  void set(const std::string& assignment);
  void set_text(const std::string& key, const std::string& text);

  const RecipeEntry& root() const { return root_; }
  const RecipeEntry* find(const std::string& key) const;  ///< nullptr where it is missing
  /// Where a key stands; if it is missing, where its section does, or else the recipe's name.
  std::string place_of(const std::string& key) const;

 private:
  explicit RecipeTree(std::string name) : name_(std::move(name)) {}
  void put(const std::string& key, const std::string& where, const YAML::Node& value);

  std::string name_;
  RecipeEntry root_;
};

}  // namespace previt
