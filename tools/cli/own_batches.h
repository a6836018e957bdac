#pragma once

#include <functional>
#include <memory>

#include "augment/dataset/dataset.h"
#include "batch.h"
#include "communicator.h"

namespace previt::cli {

/// This rank's part (own_part) of images that the ranks go through together, each batch in step
/// with the others, so that none waits for long where they put their results together.
class OwnBatches final : public BatchSource {
 public:
  /// `make` gives the batches of a dataset, in order.
  OwnBatches(const std::shared_ptr<Dataset>& dataset,
             int64_t batch,
             const std::function<std::unique_ptr<BatchSource>(std::shared_ptr<Dataset>)>& make,
             Communicator& all = world());

  /// Calls `work`, which takes each batch once, unless this rank has no images. Where it fails on
  /// one rank, all throw (do_on_all_ranks).
  void go_through(const std::function<void(BatchSource& own)>& work);

  EpochPlan epoch_plan() const override { return source_->epoch_plan(); }
  void seek(int64_t epoch, int64_t batch) override { source_->seek(epoch, batch); }
  Batch next() override;
  std::vector<std::string> class_names() const override { return source_->class_names(); }
  int64_t bad_samples() const override { return source_->bad_samples(); }

 private:
  void meet();

  Communicator& all_;
  std::unique_ptr<BatchSource> source_;  // null where this rank has no images
  int64_t meetings_;                     // how often the ranks meet in a pass
  int64_t met_ = 0;
};

}  // namespace previt::cli
