#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace previt {

/// Classes of a model or of data, with what they are called in messages.
struct ClassList {
  std::string place;
  std::vector<std::string> names;
  int64_t count = 0;             ///< a model may have more classes than names
  std::vector<bool> there = {};  ///< of each class of data, whether it has images; empty: all have
};

/// Where the classes of some data stand among a model's.
struct ClassMatch {
  /// Of each class of the data, its number in the model; -1: not known there, and without images.
  std::vector<int64_t> in_model;
  bool by_position = false;  ///< there were no names to match
  std::string note;          ///< what a user should know, one line; "": all is as expected
};

/// By name, in any order; the data may lack some of the model's classes. A model whose classes have
/// only numbers or ids, none of which the data knows, is matched by position, and so are data
/// sorted into ImageNet's ids, unless the model's words are in the order of the alphabet, as
/// folders are. Throws Error that names a class of images that the model lacks. `advice` ends what
/// it says.
ClassMatch match_classes(const ClassList& model,
                         const ClassList& data,
                         const std::string& advice = "");

/// Whether the classes are only numbered: no name for each, or 0, 1, 2 or LABEL_0, LABEL_1 ….
bool only_numbered(const std::vector<std::string>& names, int64_t count);

}  // namespace previt
