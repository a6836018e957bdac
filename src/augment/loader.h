#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"
#include "batch.h"

namespace previt {

/// How a loader goes through a dataset and makes its batches.
struct LoaderOptions {
  int64_t batch = 256;
  int64_t step = 0;       ///< images of an optimizer step, a multiple of `batch`; 0: one batch
  bool shuffle = true;    ///< a new order each epoch
  bool drop_last = true;  ///< leave out the incomplete step at an epoch's end
  int64_t workers = 0;    ///< threads; 0: as many as cores_for_reading()
  int64_t prefetch = 4;   ///< batches made ahead
  uint64_t seed = 0;
  double max_bad_fraction = 0.1;  ///< next() throws above this share of unreadable samples
  int64_t repeats = 1;  ///< how often an epoch goes through the dataset, cut differently each time
  int64_t copies = 1;   ///< DeiT's repeated augmentation (SampleOrder); 1: off

  /// Of the batches, those at the positions rank, rank + of, rank + 2 of …: what one of several
  /// processes takes. A step has as many for each. The epoch plan is that of all; seek() goes to a
  /// position that is a multiple of `of`, where all processes go.
  int64_t rank = 0, of = 1;
};

/// Batches of a dataset's views, made by threads: uint8 [B, 3, H, W] in channels-last memory. A
/// batch depends only on the seed and its position. Each image is decoded once, however many views
/// it has, and no more of it than they need. Throws Error for an empty dataset.
///
/// An unreadable sample is replaced by the next readable one in the epoch's order, counted in
/// bad_samples(), and reported once to `log` with the reason. next() throws Error when more than
/// `max_bad_fraction` of the epoch's samples so far are unreadable, or 1000 in a row. The share is
/// taken of at least 100 samples, or of the whole epoch if it is smaller. Of several processes,
/// each counts its own samples.
std::unique_ptr<BatchSource> make_loader(std::shared_ptr<Dataset> dataset,
                                         std::vector<ViewSpec> specs,
                                         const LoaderOptions& options,
                                         std::function<void(const std::string&)> log = {});

}  // namespace previt
