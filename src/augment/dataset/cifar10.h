#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// The folder that holds data_batch_1.bin or test_batch.bin: this one, or cifar-10-batches-bin in
/// it; "" where none does.
std::string cifar10_folder(const std::string& folder);

/// The folder that holds CIFAR as Python pickles: this one, or one in it; "" where none does.
std::string cifar_pickles(const std::string& folder);

/// Which of "train" and "val" it has files for.
std::vector<std::string> cifar10_splits(const std::string& folder);

/// CIFAR-10's binary version (cs.toronto.edu/~kriz/cifar.html): data_batch_*.bin are "train" and
/// test_batch.bin "val"; a record is a label, then 32 x 32 red, green and blue. Held in memory.
/// Throws Error if a file is missing or isn't made of whole records.
std::shared_ptr<Dataset> open_cifar10(const std::string& folder, const std::string& split);

}  // namespace previt
