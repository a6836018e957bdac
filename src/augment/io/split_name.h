#pragma once

#include <string>
#include <vector>

namespace previt {

/// What a folder's name says of a split.
struct SplitName {
  enum class Kind { none, train, val };

  Kind kind = Kind::none;
  int rank = 0;              ///< among names of the kind the lowest is preferred: val before test
  bool usual = false;        ///< train, val, validation or test as they are
  bool hints = false;        ///< it speaks of a split, maybe among other words
  bool hints_train = false;  ///< and of training
};

/// "train", "Training", "train_set", "TestImages", "val2017" … in any case. Words for images and
/// sets, and numbers, don't count.
SplitName split_name(const std::string& folder);

}  // namespace previt
