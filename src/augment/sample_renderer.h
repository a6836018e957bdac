#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"
#include "augment/views.h"
#include "batch.h"

namespace previt {

/// From a sample's number to its views in a batch: plans the crops from the size in the header,
/// decodes once what all of them need, and renders each straight into the batch. A thread has its
/// own.
class SampleRenderer {
 public:
  SampleRenderer(const Dataset& dataset, const std::vector<ViewSpec>& specs)
      : reader_(dataset.reader()), specs_(specs) {}

  /// Fills row `slot` of each view ([B, 3, H, W] uint8 over channels-last memory). False, with the
  /// reason, if the sample can't be read.
  bool render(int64_t index,
              Draws& draws,
              const std::vector<at::Tensor>& views,
              int64_t slot,
              std::string& reason);

 private:
  std::unique_ptr<SampleReader> reader_;
  const std::vector<ViewSpec>& specs_;
  Region region_;
};

/// How much smaller the image may be decoded (1, 2, 4 or 8) so that random crops still have at
/// least their view's pixels. Crops with nothing random keep twice as many: scores are compared by
/// them.
int64_t allowed_reduction(const std::vector<ViewSpec>& specs, const std::vector<ViewPlan>& plans);

}  // namespace previt
