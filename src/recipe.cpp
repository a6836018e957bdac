#include "recipe.h"

#include <algorithm>
#include <map>
#include <set>

#include "error.h"
#include "nearest_word.h"
#include "recipe_tree.h"

namespace previt {

struct Recipe::Impl : FieldVisitor {
  explicit Impl(RecipeTree read) : tree(std::move(read)) {}

  RecipeTree tree;
  std::vector<std::string> sections = {""};            // that the reader is in, the last innermost
  std::map<std::string, std::set<std::string>> known;  // section → names that were asked for

  const std::string& section() const { return sections.back(); }

  [[noreturn]] static void fail_at(const RecipeEntry& entry,
                                   const std::string& key,
                                   const std::string& message) {
    fail_usage("{}: {}: {}", entry.where, key, message);
  }

  // Calls `assign(entry, key)` if the recipe has the key.
  template <class Assign>
  void with(const char* field_name, Assign assign) {
    known[section()].insert(field_name);
    const std::string key = join_key(section(), field_name);
    const RecipeEntry* entry = tree.find(key);
    if (entry == nullptr) return;
    if (entry->is_section) fail_at(*entry, key, "is a single value, not a section");
    assign(*entry, key);
  }

  template <class T>
  static T convert(const RecipeEntry& entry,
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

  static void check(const RecipeEntry& entry,
                    const std::string& key,
                    double value,
                    const Range& range) {
    if (!range.contains(value))
      fail_at(entry, key, fmt::format("{} is not in {}", value, range.text()));
  }

  template <class T>
  void number(const Field& f, T& value, const char* what) {
    with(f.name, [&](const RecipeEntry& entry, const std::string& key) {
      const T read = convert<T>(entry, key, entry.value, what);
      check(entry, key, static_cast<double>(read), f.range);
      value = read;
    });
  }

  // Sets `value` if the recipe has one of the field's words for numbers.
  bool named(const Field& f, int64_t& value) {
    bool found = false;
    with(f.name, [&](const RecipeEntry& entry, const std::string&) {
      if (!entry.value.IsScalar()) return;
      const auto word = std::find(f.choices.begin(), f.choices.end(), entry.value.Scalar());
      found = word != f.choices.end();
      if (found) value = -1 - (word - f.choices.begin());
    });
    return found;
  }

  template <class T>
  void numbers(const Field& f, std::vector<T>& value, const char* what) {
    with(f.name, [&](const RecipeEntry& entry, const std::string& key) {
      if (!entry.value.IsSequence()) {
        const std::string one = entry.value.IsScalar() ? entry.value.Scalar() : "1, 2";
        fail_at(entry, key, fmt::format("is a list; write [{}]", one));
      }
      std::vector<T> read;
      for (const auto& item : entry.value) {
        read.push_back(convert<T>(entry, key, item, what));
        check(entry, key, static_cast<double>(read.back()), f.range);
      }
      value = std::move(read);
    });
  }

  void read(const Field& f, double* v) { number(f, *v, "a number"); }
  void read(const Field& f, int64_t* v) {
    const std::string what = fmt::format(
        "a whole number{}{}", f.choices.empty() ? "" : " or ", fmt::join(f.choices, ", "));
    if (!named(f, *v)) number(f, *v, what.c_str());
  }
  void read(const Field& f, bool* v) { number(f, *v, "true or false"); }
  void read(const Field& f, std::vector<double>* v) { numbers(f, *v, "a number"); }
  void read(const Field& f, std::vector<int64_t>* v) { numbers(f, *v, "a whole number"); }
  void read(const Field& f, std::string* v) {
    with(f.name, [&](const RecipeEntry& entry, const std::string& key) {
      auto word = entry.value.IsNull() ? std::string()
                                       : convert<std::string>(entry, key, entry.value, "a word");
      // Where true and false are among other words, YAML's other names of them are too.
      bool yes = false;
      if (!f.allows(word) && f.allows("true") && YAML::convert<bool>::decode(entry.value, yes)) {
        word = yes ? "true" : "false";
      }
      if (!f.allows(word)) require_choice(word, f.choices, entry.where + ": " + key);
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
    const std::string key = join_key(section(), n);
    if (!problem.empty()) fail_usage("{}: {}: {}", tree.place_of(key), key, problem);
  }

  void enter(const char* section_name) override {
    known[section()].insert(section_name);
    sections.push_back(join_key(section(), section_name));
    known[section()];
    const RecipeEntry* entry = tree.find(section());
    if (entry != nullptr && !entry->is_section && !entry->value.IsNull()) {
      fail_at(*entry, section(), "is a section of `key: value` lines, not a single value");
    }
  }
  void leave() override { sections.pop_back(); }

  void require_all_read(const RecipeEntry& entry, const std::string& section_name) const {
    const auto it = known.find(section_name);
    if (it == known.end()) return;
    for (const auto& [child_name, child] : entry.children) {
      if (!it->second.contains(child_name)) {
        const auto near = did_you_mean(child_name, it->second);
        fail_at(child,
                join_key(section_name, child_name),
                "unknown key" + (near.empty()
                                     ? fmt::format("; known here: {}", fmt::join(it->second, ", "))
                                     : near));
      }
      require_all_read(child, join_key(section_name, child_name));
    }
  }
};

Recipe::Recipe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Recipe::Recipe(Recipe&&) noexcept = default;
Recipe& Recipe::operator=(Recipe&&) noexcept = default;
Recipe::~Recipe() = default;

Recipe Recipe::load(const std::string& path) {
  return Recipe(std::make_unique<Impl>(RecipeTree::load(path)));
}

Recipe Recipe::parse(const std::string& text, const std::string& name) {
  return Recipe(std::make_unique<Impl>(RecipeTree::parse(text, name)));
}

void Recipe::set(const std::string& assignment) { impl_->tree.set(assignment); }

void Recipe::set_text(const std::string& key, const std::string& text) {
  impl_->tree.set_text(key, text);
}

bool Recipe::has(const std::string& key) const { return impl_->tree.find(key) != nullptr; }

FieldVisitor& Recipe::reader() { return *impl_; }

void Recipe::require_all_read() const { impl_->require_all_read(impl_->tree.root(), ""); }

void Recipe::fail_at(const std::string& key, const std::string& message) const {
  fail_usage("{}: {}: {}", impl_->tree.place_of(key), key, message);
}

KeyPlaces Recipe::places() const {
  std::map<std::string, std::string> places;
  for (const auto& [section, names] : impl_->known) {
    for (const auto& name : names) {
      const std::string key = join_key(section, name);
      places[key] = impl_->tree.place_of(key);
    }
  }
  return KeyPlaces(std::move(places));
}

std::string KeyPlaces::led(const std::string& message) const {
  const auto place = places_.find(message.substr(0, message.find_first_of(":,")));
  return place == places_.end() ? message : place->second + ": " + message;
}

}  // namespace previt
