#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace previt {

/// What became of the weights that a run started from. A group is what names have in common, with
/// the number of its tensors.
struct StartReport {
  using Groups = std::map<std::string, int64_t>;

  std::string source;                  ///< LoadedModel::source and LoadedModel::choice
  Groups loaded;                       ///< "student backbone", "decoder"
  std::vector<std::string> converted;  ///< in words
  Groups left_out;                     ///< of the file
  std::vector<std::string> anew;       ///< of the objective, with the reason where there is one

  /// For the log.
  std::vector<std::string> lines() const;
};

}  // namespace previt
