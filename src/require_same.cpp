#include "require_same.h"

#include <ATen/ops/full.h>

#include "communicator.h"
#include "error.h"

namespace previt {

void require_same(const std::string& text, const std::string& what) {
  Communicator& all = world();
  if (all.alone()) return;
  const bool same = all.broadcast(text) == text;
  const at::Tensor differs = all.gather(at::full({1}, same ? 0 : 1, at::kLong));
  for (int64_t rank = 0; rank < all.size(); ++rank) {
    require(differs.data_ptr<int64_t>()[rank] == 0,
            "rank {} of {} differs from rank 0 in {}",
            rank,
            all.size(),
            what);
  }
}

}  // namespace previt
