#pragma once

#include <cstddef>
#include <string>

namespace previt {

/// How many bytes have to be inserted, deleted or replaced, or swapped with the next one
/// (Damerau-Levenshtein, no part of the word twice).
size_t edit_distance(const std::string& a, const std::string& b);

/// The word of `valid` closest to `word` by edit distance, or "" if none is close enough for `word`
/// to be a likely typo of it.
template <class Strings>
std::string nearest_word(const std::string& word, const Strings& valid) {
  std::string best;
  size_t best_distance = word.size() / 2 + 1;
  for (const auto& candidate : valid) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

/// What ends an error about `word`: "; did you mean mae?" with the nearest of `valid` behind
/// `prefix`, or "" where none is near.
template <class Strings>
std::string did_you_mean(const std::string& word,
                         const Strings& valid,
                         const std::string& prefix = "") {
  const std::string near = nearest_word(word, valid);
  return near.empty() ? "" : "; did you mean " + prefix + near + "?";
}

}  // namespace previt
