#include "finetune/probes/kernels_nearest.h"

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "error.h"

namespace previt {
namespace {

// Each thread searches whole blocks of queries by itself, so that none waits for another. A block
// of similarities is searched while it is still in the cache.
constexpr int64_t kQueryBlock = 256, kTrainBlock = 1024;
constexpr int64_t kStrip = 64;  // values compared before any branch

struct Candidate {
  float value;
  int32_t id;
};

bool before(const Candidate& a, const Candidate& b) {
  return a.value != b.value ? a.value > b.value : a.id < b.id;
}

// Whether any of `count` values is above `least`. An OR of integers instead of a branch, so that
// the compiler vectorises it.
bool any_above(const float* values, int64_t count, float least) {
  int32_t above = 0;
  for (int64_t i = 0; i < count; ++i) above |= static_cast<int32_t>(values[i] > least);
  return above != 0;
}

// The k largest of values that arrive in pieces, with growing ids. Each piece is compared with the
// least value that still counts, which few values exceed. An equal value has a larger id, and so
// loses.
class TopK {
 public:
  explicit TopK(int64_t k) : k_(static_cast<size_t>(k)) { candidates_.reserve(2 * k_ + kStrip); }

  void add(const float* values, int64_t count, int64_t first_id, int64_t excluded) {
    for (int64_t begin = 0; begin < count; begin += kStrip) {
      const int64_t end = std::min(begin + kStrip, count);
      if (!any_above(values + begin, end - begin, least_)) continue;
      for (int64_t i = begin; i < end; ++i) {
        if (values[i] > least_ && first_id + i != excluded) {
          candidates_.push_back({values[i], static_cast<int32_t>(first_id + i)});
        }
      }
      if (candidates_.size() >= 2 * k_) shrink();
    }
  }

  // Largest first, k of each.
  void finish(float* values, int64_t* ids) {
    shrink();
    require(candidates_.size() == k_, "kNN: features that can't be compared");
    std::sort(candidates_.begin(), candidates_.end(), before);
    for (const Candidate& candidate : candidates_) {
      *values++ = candidate.value;
      *ids++ = candidate.id;
    }
  }

 private:
  void shrink() {
    if (candidates_.size() <= k_) return;
    const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(candidates_.begin(), last, candidates_.end(), before);
    candidates_.resize(k_);
    least_ = candidates_.back().value;
  }

  size_t k_;
  std::vector<Candidate> candidates_;
  float least_ = -std::numeric_limits<float>::infinity();
};

}  // namespace

void nearest_on_cpu(const at::Tensor& train,
                    const at::Tensor& queries,
                    int64_t excluded,
                    at::Tensor similarities,
                    at::Tensor ids) {
  const int64_t asked = queries.size(0), rows = train.size(0), k = ids.size(1);
  const int64_t blocks = (asked + kQueryBlock - 1) / kQueryBlock;
  auto* values_out = similarities.mutable_data_ptr<float>();
  auto* ids_out = ids.mutable_data_ptr<int64_t>();
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kQueryBlock;
      const at::Tensor some = queries.slice(0, first, first + kQueryBlock);
      std::vector<TopK> best(static_cast<size_t>(some.size(0)), TopK(k));
      for (int64_t from = 0; from < rows; from += kTrainBlock) {
        const at::Tensor similar = at::mm(some, train.slice(0, from, from + kTrainBlock).t());
        const auto* values = similar.const_data_ptr<float>();
        for (int64_t q = 0; q < some.size(0); ++q) {
          best[static_cast<size_t>(q)].add(values + q * similar.size(1),
                                           similar.size(1),
                                           from,
                                           excluded < 0 ? -1 : excluded + first + q);
        }
      }
      for (int64_t q = 0; q < some.size(0); ++q) {
        best[static_cast<size_t>(q)].finish(values_out + (first + q) * k,
                                            ids_out + (first + q) * k);
      }
    }
  });
}

}  // namespace previt
