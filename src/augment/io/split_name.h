#pragma once

#include <string>
#include <vector>

namespace previt {

/// What a folder's name says about splits.
struct SplitName {
  enum class Kind { none, train, val };

  Kind kind = Kind::none;
  int rank = 0;              ///< among names of one kind the lowest wins: val before test
  bool usual = false;        ///< exactly train, val, validation or test
  bool hints = false;        ///< it names a split, perhaps among other words
  bool hints_train = false;  ///< and that split is training
};

/// Understands "train", "Training", "train_set", "TestImages", "val2017" and the like, in any case.
/// Numbers, and words for images and sets, don't count.
SplitName split_name(const std::string& folder);

}  // namespace previt
