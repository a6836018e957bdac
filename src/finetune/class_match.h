#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace previt {

/// The classes of a model or of some data.
struct ClassList {
  std::string place;  ///< what messages call the model or the data
  std::vector<std::string> names;
  int64_t count = 0;             ///< a model may have more classes than names
  std::vector<bool> there = {};  ///< whether each class of the data has images; empty: all have
};

/// Where the classes of some data stand among a model's.
struct ClassMatch {
  /// For each class of the data its number in the model; -1 for a class that the model lacks and
  /// that has no images.
  std::vector<int64_t> in_model;
  bool by_position = false;  ///< there were no names to compare
  std::string note;          ///< what a user should know, in one line; "": all is as expected
};

/// Matches classes by name, in any order; the data may lack some of the model's. Classes are
/// matched by position where the model has only numbers or ids, none of which the data knows, and
/// where the data has ImageNet's ids and the model other names, unless these are in alphabetical
/// order, as those of folders are. Throws Error where the model lacks a class that has images,
/// where several of its classes share a name of the data, and where the numbers of classes matched
/// by position differ. `advice` is appended to the message.
ClassMatch match_classes(const ClassList& model,
                         const ClassList& data,
                         const std::string& advice = "");

/// Whether the classes have no names but numbers: no name for each of `count`, or 0, 1, 2, or
/// LABEL_0, LABEL_1 ….
bool only_numbered(const std::vector<std::string>& names, int64_t count);

}  // namespace previt
