#pragma once

#include <memory>
#include <set>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// Opens what `path` names: a folder of images (flat, with class folders, or divided into train/
/// and val/ under any usual name), a pack (.h5), a folder of CIFAR-10's binary batches, or
/// "synthetic:shapes,size=64,count=2000,…". A folder or pack that isn't divided is all training
/// images. A folder's listing is kept in `cache_folder` and reused until something in the folder
/// changes; "" keeps none. With one, all ranks of a run call this together: rank 0 lists for all.
/// Throws Error (nothing there, no such split, damaged) or UsageError (a wrong synthetic spec).
std::shared_ptr<Dataset> open_dataset(const std::string& path,
                                      Split split = Split::train,
                                      const std::string& cache_folder = "");

/// The splits that open_dataset finds at `path`: train, val or both. A folder or pack that isn't
/// divided gives train. Throws Error if nothing is there or it is damaged.
std::set<Split> dataset_splits(const std::string& path);

}  // namespace previt
