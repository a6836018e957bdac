#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"
#include "batch.h"

namespace previt {

struct LoaderOptions {
  int64_t batch = 256;
  int64_t step = 0;       ///< images of an optimizer step, which `batch` divides; 0: a batch
  bool shuffle = true;    ///< a new order each epoch
  bool drop_last = true;  ///< leave out the incomplete step at an epoch's end
  int64_t workers = 0;    ///< threads; 0: one per core
  int64_t prefetch = 4;   ///< batches made ahead
  uint64_t seed = 0;
  double max_bad_fraction =
      0.1;              ///< share of unreadable samples in an epoch at which next() throws
  int64_t repeats = 1;  ///< times that the dataset comes in an epoch, cut differently
  int64_t copies = 1;   ///< DeiT's repeated augmentation (SampleOrder); 1: off
};

/// Batches of a dataset's views: uint8, NCHW shapes over channels-last memory, made by threads. A
/// batch depends only on the seed and its position. Each image is decoded once whatever the number
/// of views, and no more of it than they need.
///
/// An unreadable sample is replaced by the next readable one in the epoch's order, counted
/// (bad_samples()), and named with the reason to `log` once. When more than `max_bad_fraction` of
/// the epoch's samples so far (of 100 at least, or the whole epoch where that is less) were
/// unreadable, next() throws Error.
std::unique_ptr<BatchSource> make_loader(std::shared_ptr<Dataset> dataset,
                                         std::vector<ViewSpec> specs,
                                         const LoaderOptions& options,
                                         std::function<void(const std::string&)> log = {});

}  // namespace previt
