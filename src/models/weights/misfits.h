#pragma once

#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "models/weights/name_patterns.h"

namespace previt {

/// How weights from a file and the network that they are for don't fit, and what of it the user
/// allows: NamePatterns of --allow. Names are the network's.
class Misfits {
 public:
  /// `source` leads errors. Null: there is no --allow, which they would name.
  Misfits(std::string source, const std::string* allow);

  // Each tells whether that is allowed; what isn't is kept for require_none.

  bool lacks(const std::string& name);      ///< the file, so that this one starts anew
  bool left_over(const std::string& name);  ///< in the file
  /// The file's has another shape. Throws Error at once where that is not allowed.
  bool other_shape(const std::string& name, at::IntArrayRef found, at::IntArrayRef wanted);

  /// Throws Error that names, by families, all that is not allowed.
  void require_none() const;

  /// Warns of each pattern that has allowed nothing: it may be a slip.
  void warn_of_idle_patterns() const;

 private:
  bool allowed(const std::string& name);
  std::string advice(const std::set<std::string>& families, const char* what) const;

  const std::string source_;
  const bool offered_;
  const NamePatterns patterns_;
  std::set<std::string> idle_;
  std::vector<std::string> missing_, unexpected_;
};

}  // namespace previt
