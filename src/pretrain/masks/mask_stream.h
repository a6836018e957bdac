#pragma once

#include <cstdint>

#include "batch.h"
#include "random.h"

namespace previt {

/// The stream that the masks of one image of a batch are drawn from, named by seed, epoch and the
/// image's index: they stay the same however a batch is cut, and nothing about them is saved.
Random mask_stream(const Batch& batch, int64_t image, int64_t seed);

}  // namespace previt
