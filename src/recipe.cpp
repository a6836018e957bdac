#include "recipe.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "error.h"
#include "utf8.h"

namespace previt {
namespace {

constexpr int kMaxBaseDepth = 16;  // files; more are taken for a circle
constexpr int kMaxNesting = 32;    // sections; merge calls itself for each

// One key of the merged recipe; `where` is the "file:line" or "--set …" that set it last.
struct Entry {
  std::string where;
  YAML::Node value;  // scalar or sequence; null for a section
  bool is_section = false;
  std::map<std::string, Entry> children;
};

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

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

bool all_utf8(const YAML::Node& node) {
  if (node.IsScalar()) return is_utf8(node.Scalar());
  return !node.IsSequence() ||
         std::all_of(node.begin(), node.end(), [](const auto& item) { return all_utf8(item); });
}

void merge(Entry& into,
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
    const std::string key = join(path, name);
    if (!seen.insert(name).second) fail_usage("{}: {}: given twice", where, key);
    if (!is_utf8(name) || !all_utf8(pair.second)) {
      fail_usage("{}: {}: is no UTF-8; save the recipe as UTF-8, or give the value by --set",
                 where,
                 utf8_or_escaped(key));
    }
    if (depth == 0 && name == "base") continue;
    Entry& child = into.children[name];
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

YAML::Node parse_yaml(const std::string& text, const std::string& name) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    fail_usage("{}: {}", place(name, e.mark), e.msg);
  }
}

void merge_text(Entry& root, const std::string& text, const std::string& name) {
  const YAML::Node node = parse_yaml(text, name);
  if (node.IsNull()) return;
  if (!node.IsMap()) fail_usage("{}: a recipe is a list of `key: value` lines", name);
  merge(root, node, name, "", 0);
}

std::string read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr || std::filesystem::is_directory(path)) {
    if (file != nullptr) std::fclose(file);
    fail_usage("{}: no such recipe", path);
  }
  std::string text;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  return text;
}

void merge_file(Entry& root, const std::string& path, int depth) {
  if (depth > kMaxBaseDepth) fail_usage("{}: `base:` goes round in a circle", path);
  const std::string text = read_file(path);
  const YAML::Node node = parse_yaml(text, path);
  if (node.IsMap()) {
    if (const YAML::Node base = node["base"]; base.IsDefined()) {
      if (!base.IsScalar()) fail_usage("{}: base: must be a file name", place(path, base.Mark()));
      merge_file(
          root, (std::filesystem::path(path).parent_path() / base.Scalar()).string(), depth + 1);
    }
  }
  merge_text(root, text, path);
}

}  // namespace

struct Recipe::Impl : FieldVisitor {
  std::string name;
  Entry root;
  std::vector<std::string> path;                       // where the reader stands
  std::map<std::string, std::set<std::string>> known;  // section → names that were asked for

  std::string section() const {
    std::string joined;
    for (const auto& part : path) joined = join(joined, part);
    return joined;
  }

  const Entry* find(const std::vector<std::string>& keys) const {
    const Entry* entry = &root;
    for (const auto& key : keys) {
      const auto it = entry->children.find(key);
      if (it == entry->children.end()) return nullptr;
      entry = &it->second;
    }
    return entry;
  }

  void put(const std::string& key, const std::string& where, const YAML::Node& value);

  // Where a key stands; if it is missing, where its section does, or else the recipe.
  std::string place_of(const std::string& key) const {
    const Entry* entry = &root;
    std::string where = name;
    for (const auto& word : words_of(key)) {
      const auto it = entry->children.find(word);
      if (it == entry->children.end()) break;
      entry = &it->second;
      where = entry->where;
    }
    return where;
  }

  [[noreturn]] static void fail_at(const Entry& entry,
                                   const std::string& key,
                                   const std::string& message) {
    fail_usage("{}: {}: {}", entry.where, key, message);
  }

  // Calls `assign(entry, key)` if the recipe has the key.
  template <class Assign>
  void with(const char* field_name, Assign assign) {
    known[section()].insert(field_name);
    auto keys = path;
    keys.push_back(field_name);
    const Entry* entry = find(keys);
    if (entry == nullptr) return;
    const std::string key = join(section(), field_name);
    if (entry->is_section) fail_at(*entry, key, "is a single value, not a section");
    assign(*entry, key);
  }

  template <class T>
  static T convert(const Entry& entry,
                   const std::string& key,
                   const YAML::Node& node,
                   const char* what) {
    T value{};
    if (!node.IsScalar() || !YAML::convert<T>::decode(node, value)) {
      fail_at(
          entry, key, fmt::format("{} is not {}", node.IsScalar() ? node.Scalar() : "this", what));
    }
    return value;
  }

  static void check(const Entry& entry, const std::string& key, double value, const Range& range) {
    if (!range.contains(value))
      fail_at(entry, key, fmt::format("{} is not in {}", value, range.text()));
  }

  template <class T>
  void number(const Field& f, T& value, const char* what) {
    with(f.name, [&](const Entry& entry, const std::string& key) {
      const T read = convert<T>(entry, key, entry.value, what);
      check(entry, key, static_cast<double>(read), f.range);
      value = read;
    });
  }

  template <class T>
  void numbers(const Field& f, std::vector<T>& value, const char* what) {
    with(f.name, [&](const Entry& entry, const std::string& key) {
      if (!entry.value.IsSequence()) fail_at(entry, key, "is a list, like [1, 2]");
      std::vector<T> read;
      for (const auto& item : entry.value) {
        read.push_back(convert<T>(entry, key, item, what));
        check(entry, key, static_cast<double>(read.back()), f.range);
      }
      value = std::move(read);
    });
  }

  void read(const Field& f, double* v) { number(f, *v, "a number"); }
  void read(const Field& f, int64_t* v) { number(f, *v, "a whole number"); }
  void read(const Field& f, bool* v) { number(f, *v, "true or false"); }
  void read(const Field& f, std::vector<double>* v) { numbers(f, *v, "a number"); }
  void read(const Field& f, std::vector<int64_t>* v) { numbers(f, *v, "a whole number"); }
  void read(const Field& f, std::string* v) {
    with(f.name, [&](const Entry& entry, const std::string& key) {
      const auto word = entry.value.IsNull()
                            ? std::string()
                            : convert<std::string>(entry, key, entry.value, "a word");
      if (!f.allows(word)) {
        const auto near = nearest_word(word, f.choices);
        fail_at(entry,
                key,
                fmt::format("{} is not one of {}{}",
                            word,
                            fmt::join(f.choices, ", "),
                            near.empty() ? "" : fmt::format("; did you mean {}?", near)));
      }
      *v = word;
    });
  }
  void read(const Field& f, const EnumField& v) {
    std::string word = v.name();
    read(f, &word);
    v.set(word, f.name);
  }
  void field(const Field& f) override {
    std::visit([&](const auto& value) { read(f, value); }, f.value);
  }

  void check(const char* n, const std::string& problem) override {
    const std::string key = join(section(), n);
    if (!problem.empty()) fail_usage("{}: {}: {}", place_of(key), key, problem);
  }

  void enter(const char* section_name) override {
    known[section()].insert(section_name);
    path.push_back(section_name);
    known[section()];
    const Entry* entry = find(path);
    if (entry != nullptr && !entry->is_section && !entry->value.IsNull()) {
      fail_at(*entry, section(), "is a section of `key: value` lines, not a single value");
    }
  }
  void leave() override { path.pop_back(); }

  void require_all_read(const Entry& entry, const std::string& section_name) const {
    const auto it = known.find(section_name);
    if (it == known.end()) return;
    for (const auto& [child_name, child] : entry.children) {
      if (!it->second.contains(child_name)) {
        const auto near = nearest_word(child_name, it->second);
        fail_at(child,
                join(section_name, child_name),
                near.empty()
                    ? fmt::format("unknown key; known here: {}", fmt::join(it->second, ", "))
                    : fmt::format("unknown key; did you mean {}?", near));
      }
      require_all_read(child, join(section_name, child_name));
    }
  }
};

Recipe::Recipe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Recipe::Recipe(Recipe&&) noexcept = default;
Recipe& Recipe::operator=(Recipe&&) noexcept = default;
Recipe::~Recipe() = default;

Recipe Recipe::load(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->name = path;
  merge_file(impl->root, path, 0);
  return Recipe(std::move(impl));
}

Recipe Recipe::parse(const std::string& text, const std::string& name) {
  auto impl = std::make_unique<Impl>();
  impl->name = name;
  merge_text(impl->root, text, name);
  return Recipe(std::move(impl));
}

void Recipe::set(const std::string& assignment) {
  const std::string where = "--set " + assignment;
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail_usage("{}: write it as key.path=value", where);
  const std::string text = assignment.substr(equals + 1);
  // A path can have any bytes; YAML can't.
  const YAML::Node value = is_utf8(text) ? parse_yaml(text, where) : YAML::Node(text);
  if (value.IsMap()) fail_usage("{}: set one value at a time", where);
  impl_->put(assignment.substr(0, equals), where, value);
}

void Recipe::set_text(const std::string& key, const std::string& text) {
  impl_->put(key, fmt::format("--set {}={}", key, text), YAML::Node(text));
}

void Recipe::Impl::put(const std::string& key, const std::string& where, const YAML::Node& value) {
  Entry* entry = &root;
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

bool Recipe::has(const std::string& key) const { return impl_->find(words_of(key)) != nullptr; }

FieldVisitor& Recipe::reader() { return *impl_; }

void Recipe::require_all_read() const { impl_->require_all_read(impl_->root, ""); }

void Recipe::fail_at(const std::string& key, const std::string& message) const {
  fail_usage("{}: {}: {}", impl_->place_of(key), key, message);
}

KeyPlaces Recipe::places() const {
  std::map<std::string, std::string> places;
  for (const auto& [section, names] : impl_->known) {
    for (const auto& name : names) {
      const std::string key = join(section, name);
      places[key] = impl_->place_of(key);
    }
  }
  return KeyPlaces(std::move(places));
}

std::string KeyPlaces::led(const std::string& message) const {
  const auto place = places_.find(message.substr(0, message.find_first_of(":,")));
  return place == places_.end() ? message : place->second + ": " + message;
}

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
