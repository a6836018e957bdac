#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "batch.h"
#include "pretrain/run_options.h"

namespace previt::cli {

/// The images of a pretraining run, cut into `views` by the loader's threads, or batch-wise on
/// `device` with data.device_augment. Throws UsageError where the device can't make a view, where
/// the images have several sizes and data.canvas says none, or where they are less than a batch.
std::unique_ptr<BatchSource> open_training_data(const RunOptions& run,
                                                const std::vector<ViewSpec>& views,
                                                at::Device device,
                                                const std::string& cache_folder);

}  // namespace previt::cli
