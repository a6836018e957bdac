#pragma once

#include <set>
#include <string>
#include <vector>

namespace previt {

/// Patterns of tensors' names, with * for any text and ? for any character.
class NamePatterns {
 public:
  /// Patterns with commas between; spaces don't count.
  explicit NamePatterns(const std::string& list);

  const std::vector<std::string>& all() const { return patterns_; }
  std::vector<std::string> fitting(const std::string& name) const;

 private:
  std::vector<std::string> patterns_;
};

/// The names with * for each number in them, "blocks.*.ls1.gamma", each once.
std::set<std::string> families_of(const std::vector<std::string>& names);

/// Whether our name is that of a classifier's weight: `head.` or, for a distillation token,
/// `head_dist.`.
bool is_classifier(const std::string& name);

}  // namespace previt
