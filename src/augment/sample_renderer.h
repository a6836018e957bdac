#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"
#include "augment/views.h"
#include "batch.h"

namespace previt {

/// Renders the views of a numbered sample into a batch. It plans the crops from the size in the
/// header, decodes once what all of them need, and renders each straight into the batch. Every
/// thread has its own.
class SampleRenderer {
 public:
  SampleRenderer(const Dataset& dataset, const std::vector<ViewSpec>& specs)
      : reader_(dataset.reader()), specs_(specs) {}

  /// Fills row `slot` of each view (uint8 [B, 3, H, W] in channels-last memory). Returns false and
  /// sets `reason` if the sample can't be read.
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

/// The factor (1, 2, 4 or 8) by which the image may be decoded smaller. A random crop keeps at
/// least as many pixels per side as its view has. A crop without randomness keeps twice as many,
/// because scores are compared on it.
int64_t allowed_reduction(const std::vector<ViewSpec>& specs, const std::vector<ViewPlan>& plans);

}  // namespace previt
