#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "error.h"
#include "options.h"

namespace previt {

/// Where each key of a recipe stands, for errors that are found only after it was read.
class KeyPlaces {
 public:
  KeyPlaces() = default;
  explicit KeyPlaces(std::map<std::string, std::string> places) : places_(std::move(places)) {}

  /// Returns what `work()` gives. If it throws a UsageError that begins with a key, such as
  /// "model.pool: needs ...", that is thrown again, led by the key's place.
  template <class Work>
  auto around(Work work) const {
    try {
      return work();
    } catch (const UsageError& error) {
      throw UsageError(led(error.what()));
    }
  }

 private:
  std::string led(const std::string& message) const;
  std::map<std::string, std::string> places_;
};

/// A run described in YAML: nested keys, `base:` to inherit another file (relative to this one),
/// and `--set a.b=value` on top. Every problem is a UsageError led by file, line and full key:
///
///     recipes/mae.yaml:12: mae.mask_ratio: 1.5 is not in (0, 1)
///
/// Nothing below this class sees YAML: options structs are filled through their `visit`.
class Recipe {
 public:
  /// Reads a file, and the files that it inherits.
  static Recipe load(const std::string& path);
  /// The same for a text, which can inherit nothing; errors are led by `name`.
  static Recipe parse(const std::string& text, const std::string& name = "recipe");

  Recipe(Recipe&&) noexcept;
  Recipe& operator=(Recipe&&) noexcept;
  ~Recipe();

  /// Applies one `key.path=value`; the value is YAML, so `[1, 2]` and `true` work.
  void set(const std::string& assignment);
  /// Sets a key to this text without parsing it: "[x]" would be a list in YAML, but can be a path.
  void set_text(const std::string& key, const std::string& text);
  bool has(const std::string& key) const;

  /// Fills `options` from the keys it names, at the root or under `section`; absent keys keep their
  /// defaults.
  template <class Options>
  void read(Options& options) {
    visit(reader(), options);
  }
  template <class Options>
  void read(const char* section, Options& options) {
    reader().section(section, options);
  }
  FieldVisitor& reader();  ///< what `read` visits with

  /// Call after all reads: a key that nothing read is a typo, reported with its nearest valid name.
  void require_all_read() const;

  /// Throws UsageError about one key, led by where it stands in the recipe.
  [[noreturn]] void fail_at(const std::string& key, const std::string& message) const;

  /// The places of the keys that were read so far.
  KeyPlaces places() const;

 private:
  struct Impl;
  explicit Recipe(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace previt
