#pragma once

#include <cstdint>
#include <vector>

namespace previt {

/// Which samples make up an epoch, in which order: a function of seed and epoch alone. Sample v is
/// image v % images; samples of one image are cut differently.
struct SampleOrder {
  int64_t images = 0;
  bool shuffle = true;  ///< a new order each epoch; else the dataset's
  int64_t repeats = 1;  ///< times that the whole dataset comes in an epoch

  /// Repeated augmentation (arXiv:1901.09335; deit:samplers.py): above 1, each image of the order
  /// comes so many times in a row, and the epoch ends after as many samples as there are images,
  /// rounded down to a multiple of 256. So an epoch costs what it does without, on 1 / copies of
  /// the images. Fewer than 256 images are not rounded (the official sampler would be left with
  /// none).
  int64_t copies = 1;

  uint64_t seed = 0;

  /// Samples in an epoch.
  int64_t size() const;
  std::vector<int64_t> of_epoch(int64_t epoch) const;
};

}  // namespace previt
