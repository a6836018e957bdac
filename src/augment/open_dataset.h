#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// Opens what `path` is: a folder of images (flat, class folders, or divided into train/ and val/,
/// however people write that), a pack (.h5), a folder of CIFAR-10 binary batches, or
/// "synthetic:shapes,size=64,count=2000,…". `split` is train, val or all; a folder or pack that
/// isn't divided is all "train". A folder's listing is kept in `cache_folder` and reused while
/// nothing in the folder changed; "" keeps none. Throws Error (nothing there, no such split,
/// damaged) or UsageError (a wrong synthetic spec).
std::shared_ptr<Dataset> open_dataset(const std::string& path,
                                      const std::string& split = "train",
                                      const std::string& cache_folder = "");

/// What open_dataset finds at `path`: {"train", "val"}, or one of them. A folder or pack that isn't
/// divided is {"train"}.
std::vector<std::string> dataset_splits(const std::string& path);

}  // namespace previt
