#include "augment/sample_order.h"

#include <numeric>

#include "random.h"

namespace previt {
namespace {

// As in deit:samplers.py.
constexpr int64_t kRounding = 256;

}  // namespace

int64_t SampleOrder::size() const {
  const int64_t all = images * repeats;
  return copies > 1 && all >= kRounding ? all / kRounding * kRounding : all;
}

std::vector<int64_t> SampleOrder::of_epoch(int64_t epoch) const {
  const int64_t all = images * repeats;
  std::vector<int64_t> order;
  if (shuffle) {
    Random random(seed, Stream::sample_order, {static_cast<uint64_t>(epoch)});
    order = random_permutation(all, random);
  } else {
    order.resize(static_cast<size_t>(all));
    std::iota(order.begin(), order.end(), int64_t{0});
  }
  if (copies == 1) return order;
  std::vector<int64_t> repeated(static_cast<size_t>(size()));
  // Copy k of a sample is numbered k · all higher, which gives it a random stream of its own.
  for (int64_t i = 0; i < size(); ++i) {
    repeated[static_cast<size_t>(i)] = order[static_cast<size_t>(i / copies)] + i % copies * all;
  }
  return repeated;
}

}  // namespace previt
