#include "pretrain/masks/mask_stream.h"

namespace previt {

Random mask_stream(const Batch& batch, int64_t image, int64_t seed) {
  return Random(static_cast<uint64_t>(seed),
                Stream::masks,
                {static_cast<uint64_t>(batch.epoch),
                 static_cast<uint64_t>(batch.indices[image].item<int64_t>())});
}

}  // namespace previt
