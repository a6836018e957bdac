#include "pretrain/masks/mask_stream.h"

namespace previt {
namespace {

constexpr uint64_t kMaskStream = 0x6d61736b;  // apart from the augmentations of the same image

}  // namespace

Random mask_stream(const Batch& batch, int64_t image, int64_t seed) {
  return Random(static_cast<uint64_t>(seed),
                {kMaskStream,
                 static_cast<uint64_t>(batch.epoch),
                 static_cast<uint64_t>(batch.indices[image].item<int64_t>())});
}

}  // namespace previt
