#pragma once

#include <cstdint>

#include "batch.h"
#include "random.h"

namespace previt {

/// The stream from which the masks of one image of a batch are drawn. It is named by seed, epoch
/// and the image's index, so that masks stay the same however a batch is cut, and nothing about
/// them is saved.
Random mask_stream(const Batch& batch, int64_t image, int64_t seed);

}  // namespace previt
