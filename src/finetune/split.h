#pragma once

#include <cstdint>
#include <vector>

namespace previt {

/// Sample numbers, each list in ascending order.
struct Split {
  std::vector<int64_t> train, held_out;
};

/// Holds out `share` of each class, drawn by `seed`: rounded, but at least one sample of a class of
/// two or more and never all of them. labels: a class for each sample.
Split stratified_split(const std::vector<int64_t>& labels, double share, uint64_t seed);

}  // namespace previt
