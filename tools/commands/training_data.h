#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "augment/dataset/dataset.h"
#include "batch.h"
#include "pretrain/run_options.h"

namespace previt::cli {

/// What the loader's threads make of an image that becomes `views`: all of it, or with
/// data.device_augment what they leave to the device. Throws UsageError where images have several
/// sizes and data.canvas says none.
std::vector<ViewSpec> loaded_views(const DataOptions& data,
                                   const Dataset& images,
                                   const std::vector<ViewSpec>& views);

/// The images of a pretraining run (its training split), cut into `views` by the loader's threads,
/// or with data.device_augment, in whole or in part, batch by batch on `device`. Of several
/// processes, each gets its share (world()). Throws UsageError as loaded_views() does, where the
/// device can't make a view, and where there are fewer images than in a batch.
std::unique_ptr<BatchSource> training_source(const RunOptions& run,
                                             std::shared_ptr<Dataset> images,
                                             const std::vector<ViewSpec>& views,
                                             at::Device device);

}  // namespace previt::cli
