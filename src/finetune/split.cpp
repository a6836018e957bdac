#include "finetune/split.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace previt {

StratifiedSplit stratified_split(const std::vector<int64_t>& labels,
                                 double share,
                                 uint64_t seed,
                                 Stream stream) {
  std::map<int64_t, std::vector<int64_t>> classes;
  for (size_t i = 0; i < labels.size(); ++i) classes[labels[i]].push_back(static_cast<int64_t>(i));

  StratifiedSplit split;
  for (const auto& [label, samples] : classes) {
    const auto size = static_cast<int64_t>(samples.size());
    const int64_t held_out =
        size == 1
            ? 0
            : std::clamp<int64_t>(std::llround(share * static_cast<double>(size)), 1, size - 1);
    // A stream for each class: new images of one class don't change what another holds out.
    Random random(seed, stream, {static_cast<uint64_t>(label)});
    const std::vector<int64_t> order = random_permutation(size, random);
    for (int64_t i = 0; i < size; ++i) {
      auto& side = i < held_out ? split.held_out : split.train;
      side.push_back(samples[static_cast<size_t>(order[static_cast<size_t>(i)])]);
    }
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.held_out.begin(), split.held_out.end());
  return split;
}

}  // namespace previt
