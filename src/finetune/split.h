#pragma once

#include <cstdint>
#include <vector>

#include "random.h"

namespace previt {

/// Sample numbers, each list in ascending order.
struct StratifiedSplit {
  std::vector<int64_t> train, held_out;
};

/// Holds out `share` of each class, rounded, drawn with `seed` from `stream`. A class of two samples
/// or more gives at least one and never all; a class of one gives none. labels: the class of each
/// sample.
StratifiedSplit stratified_split(const std::vector<int64_t>& labels,
                                 double share,
                                 uint64_t seed,
                                 Stream stream = Stream::held_out);

}  // namespace previt
