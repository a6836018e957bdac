#pragma once

#include <cstdint>
#include <vector>

namespace previt {

/// Which samples make up an epoch, and in which order: a function of seed and epoch alone. Sample v
/// shows image v % images. Samples of one image are cut differently.
struct SampleOrder {
  int64_t images = 0;
  bool shuffle = true;  ///< a new order each epoch; else the dataset's
  int64_t repeats = 1;  ///< how often an epoch goes through the whole dataset

  /// Repeated augmentation (arXiv:1901.09335; deit:samplers.py). Above 1, each image of the order
  /// comes this many times in a row. The epoch still has as many samples as there are images,
  /// rounded down to a multiple of 256, so it costs the same but shows only 1 / copies of the
  /// images. Fewer than 256 images are not rounded: the official sampler would be left with none.
  int64_t copies = 1;

  uint64_t seed = 0;

  /// How many samples an epoch has.
  int64_t size() const;
  /// The samples of an epoch, [size()].
  std::vector<int64_t> of_epoch(int64_t epoch) const;
};

}  // namespace previt
