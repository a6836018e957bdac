#include "across_ranks.h"

#include <torch/types.h>

#include <algorithm>

namespace previt {

int64_t total(int64_t number, Communicator& all) {
  if (all.alone()) return number;
  const at::Tensor sum = torch::full({1}, number, torch::kInt64);
  all.sum(sum);
  return sum.item<int64_t>();
}

std::string texts_of_all(const std::string& own, Communicator& all) {
  const at::Tensor bytes = torch::empty({static_cast<int64_t>(own.size())}, torch::kUInt8);
  std::copy(own.begin(), own.end(), bytes.mutable_data_ptr<uint8_t>());
  const at::Tensor gathered = all.gather(bytes);
  const auto* first = gathered.const_data_ptr<uint8_t>();
  return {first, first + gathered.numel()};
}

Part part_of(int64_t count, int64_t unit, const Communicator& all) {
  const int64_t units = (count + unit - 1) / unit;
  const int64_t each = units / all.size(), more = units % all.size();
  const auto start = [&](int64_t rank) {
    return std::min((each * rank + std::min(rank, more)) * unit, count);
  };
  return {start(all.rank()), start(all.rank() + 1)};
}

}  // namespace previt
