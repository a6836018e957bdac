#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// The folder that holds data_batch_1.bin or test_batch.bin: `folder` itself or
/// cifar-10-batches-bin inside it; "" if neither does.
std::string cifar10_folder(const std::string& folder);

/// The folder that holds CIFAR as Python pickles: `folder` itself or a folder inside it; "" if
/// there is none.
std::string cifar_pickles(const std::string& folder);

/// The splits that the folder has files for: train, val, both or none.
std::set<Split> cifar10_splits(const std::string& folder);

/// The files of a split of CIFAR-10's binary version in `folder`, there or not; of Split::all, those
/// of the splits that are there.
std::vector<std::string> cifar10_files(const std::string& folder, Split split);

/// Opens CIFAR-10's binary version (cs.toronto.edu/~kriz/cifar.html) and holds it in memory.
/// data_batch_*.bin are for training, test_batch.bin for validation. A record is one byte for the
/// label, then 32 x 32 values each of red, green and blue. Throws Error if a file is missing, isn't
/// made of whole records, or has a label above 9.
std::shared_ptr<Dataset> open_cifar10(const std::string& folder, Split split);

}  // namespace previt
