#include "models/weights/name_patterns.h"

#include <fmt/ranges.h>
#include <fnmatch.h>

#include <sstream>

namespace previt {

NamePatterns::NamePatterns(const std::string& list) {
  std::istringstream text(list);
  for (std::string pattern; std::getline(text, pattern, ',');) {
    std::erase(pattern, ' ');
    if (!pattern.empty()) patterns_.push_back(pattern);
  }
}

std::vector<std::string> NamePatterns::fitting(const std::string& name) const {
  std::vector<std::string> found;
  for (const std::string& pattern : patterns_) {
    if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) found.push_back(pattern);
  }
  return found;
}

std::set<std::string> families_of(const std::vector<std::string>& names) {
  std::set<std::string> families;
  for (const std::string& name : names) {
    std::vector<std::string> words;
    std::istringstream text(name);
    for (std::string word; std::getline(text, word, '.');) {
      const bool number = word.find_first_not_of("0123456789") == std::string::npos;
      words.push_back(number ? "*" : word);
    }
    families.insert(fmt::format("{}", fmt::join(words, ".")));
  }
  return families;
}

bool is_classifier(const std::string& name) {
  return name.starts_with("head.") || name.starts_with("head_dist.");
}

}  // namespace previt
