#include "recipe_tree.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>
#include <vector>

#include "error.h"
#include "utf8.h"

namespace previt {
namespace {

constexpr int kMaxBaseDepth = 16;  // files; more are taken for a circle
constexpr int kMaxNesting = 32;    // sections; merge calls itself for each

std::vector<std::string> words_of(const std::string& key) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin <= key.size();) {
    const size_t dot = std::min(key.find('.', begin), key.size());
    words.push_back(key.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return words;
}

std::string place(const std::string& file, const YAML::Mark& mark) {
  return mark.line < 0 ? file : fmt::format("{}:{}", file, mark.line + 1);
}

bool has_items(const YAML::Node& node) { return node.IsSequence() || node.IsMap(); }

// A list holds no lists. Aliases could make one that holds itself.
void require_flat(const YAML::Node& value, const std::string& where, const std::string& key) {
  if (value.IsSequence() && std::any_of(value.begin(), value.end(), has_items)) {
    fail_usage("{}: {}: a list holds single values, not lists or sections", where, key);
  }
}

bool all_utf8(const YAML::Node& value) {
  if (value.IsScalar()) return is_utf8(value.Scalar());
  return !value.IsSequence() || std::all_of(value.begin(), value.end(), [](const auto& item) {
    return !item.IsScalar() || is_utf8(item.Scalar());
  });
}

void merge(RecipeEntry& into,
           const YAML::Node& node,
           const std::string& file,
           const std::string& path,
           int depth) {
  if (depth > kMaxNesting) fail_usage("{}: {}: nested too deeply", place(file, node.Mark()), path);
  std::set<std::string> seen;
  for (const auto& pair : node) {
    const std::string where = place(file, pair.first.Mark());
    if (!pair.first.IsScalar()) fail_usage("{}: a key must be a word", where);
    const std::string name = pair.first.Scalar();
    const std::string key = join_key(path, name);
    if (!seen.insert(name).second) fail_usage("{}: {}: given twice", where, key);
    require_flat(pair.second, where, utf8_or_escaped(key));
    if (!is_utf8(name) || !all_utf8(pair.second)) {
      fail_usage("{}: {}: is no UTF-8; save the recipe as UTF-8, or give the value by --set",
                 where,
                 utf8_or_escaped(key));
    }
    if (depth == 0 && name == "base") continue;
    RecipeEntry& child = into.children[name];
    child.where = where;
    if (pair.second.IsMap()) {
      child.is_section = true;
      child.value.reset();
      merge(child, pair.second, file, key, depth + 1);
    } else {
      child.is_section = false;
      child.children.clear();
      child.value.reset(pair.second);
    }
  }
}

bool has_tab(const std::string& text, int line) {
  std::istringstream lines(text);
  std::string found;
  for (int i = 0; i <= line; ++i) std::getline(lines, found);
  return found.find('\t') != std::string::npos;
}

YAML::Node parse_yaml(const std::string& text, const std::string& name) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    const char* advice = has_tab(text, e.mark.line) ? "; indent with spaces, not tabs" : "";
    fail_usage("{}: {}{}", place(name, e.mark), e.msg, advice);
  }
}

void merge_text(RecipeEntry& root, const std::string& text, const std::string& name) {
  const YAML::Node node = parse_yaml(text, name);
  if (node.IsNull()) return;
  if (!node.IsMap()) fail_usage("{}: a recipe is a list of `key: value` lines", name);
  merge(root, node, name, "", 0);
}

// `asked`: where the file is asked for, and its path.
std::string read_file(const std::string& path, const std::string& asked) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) {
    fail_usage("{}: is a folder, not a recipe", asked);
  }
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    fail_usage("{}: {}", asked, errno == ENOENT ? "no such recipe" : std::strerror(errno));
  }
  std::string text;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  return text;
}

void merge_file(RecipeEntry& root, const std::string& path, const std::string& asked, int depth) {
  if (depth > kMaxBaseDepth) fail_usage("{}: `base:` goes round in a circle", path);
  const std::string text = read_file(path, asked);
  const YAML::Node node = parse_yaml(text, path);
  if (node.IsMap()) {
    if (const YAML::Node base = node["base"]; base.IsDefined()) {
      const std::string where = place(path, base.Mark()) + ": base: ";
      if (!base.IsScalar()) fail_usage("{}must be a file name", where);
      const std::string other =
          (std::filesystem::path(path).parent_path() / base.Scalar()).string();
      merge_file(root, other, where + other, depth + 1);
    }
  }
  merge_text(root, text, path);
}

}  // namespace

std::string join_key(const std::string& section, const std::string& name) {
  return section.empty() ? name : section + "." + name;
}

RecipeTree RecipeTree::load(const std::string& path) {
  RecipeTree tree(path);
  merge_file(tree.root_, path, path, 0);
  return tree;
}

RecipeTree RecipeTree::parse(const std::string& text, const std::string& name) {
  RecipeTree tree(name);
  merge_text(tree.root_, text, name);
  return tree;
}

void RecipeTree::set(const std::string& assignment) {
  const std::string where = "--set " + assignment;
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail_usage("{}: write it as key.path=value", where);
  const std::string text = assignment.substr(equals + 1);
  // A path can have any bytes; YAML can't.
  const YAML::Node value = is_utf8(text) ? parse_yaml(text, where) : YAML::Node(text);
  if (value.IsMap()) fail_usage("{}: set one value at a time", where);
  require_flat(value, where, assignment.substr(0, equals));
  put(assignment.substr(0, equals), where, value);
}

void RecipeTree::set_text(const std::string& key, const std::string& text) {
  put(key, fmt::format("--set {}={}", key, text), YAML::Node(text));
}

void RecipeTree::put(const std::string& key, const std::string& where, const YAML::Node& value) {
  RecipeEntry* entry = &root_;
  for (const auto& word : words_of(key)) {
    entry->is_section = true;
    entry = &entry->children[word];
    if (entry->where.empty()) entry->where = where;  // a section keeps its place in the file
  }
  entry->where = where;
  entry->is_section = false;
  entry->children.clear();
  entry->value.reset(value);
}

const RecipeEntry* RecipeTree::find(const std::string& key) const {
  const RecipeEntry* entry = &root_;
  for (const auto& word : words_of(key)) {
    const auto it = entry->children.find(word);
    if (it == entry->children.end()) return nullptr;
    entry = &it->second;
  }
  return entry;
}

std::string RecipeTree::place_of(const std::string& key) const {
  const RecipeEntry* entry = &root_;
  std::string where = name_;
  for (const auto& word : words_of(key)) {
    const auto it = entry->children.find(word);
    if (it == entry->children.end()) break;
    entry = &it->second;
    where = entry->where;
  }
  return where;
}

}  // namespace previt
