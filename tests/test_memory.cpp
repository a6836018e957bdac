#include <ATen/ops/empty.h>

#include <vector>

#include "memory.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("tensors' memory is aligned and wholly theirs") {
  tune_allocator();
  std::vector<at::Tensor> tensors;
  for (const int64_t bytes : {1, 63, 64, 65, 4097, 1000000, 1048577}) {
    tensors.push_back(at::empty({bytes}, at::kByte).fill_(static_cast<int64_t>(tensors.size())));
    CHECK(reinterpret_cast<uintptr_t>(tensors.back().data_ptr()) % 64 == 0);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    CHECK(tensors[i].eq(static_cast<int64_t>(i)).all().item<bool>());
  }
  CHECK(at::empty({0}).data_ptr() == nullptr);
}

TEST_CASE("memory that isn't there is an error that says so") {
  tune_allocator();
  CHECK_THROWS_WITH(at::empty({int64_t{1} << 50}, at::kByte),
                    ContainsSubstring("memory: the system gives no 1125899906 MB"));
}

TEST_CASE("what tensors hold is counted, and the most of it") {
  tune_allocator();
  constexpr int64_t kSize = 3000000, kSlack = kSize / 16 + 128;
  const TensorMemory before = tensor_memory();
  restart_tensor_peak();
  {
    const at::Tensor a = at::empty({kSize}, at::kByte);
    { const at::Tensor b = at::empty({2 * kSize}, at::kByte); }
    CHECK(tensor_memory().now - before.now >= kSize);
    CHECK(tensor_memory().now - before.now <= kSize + kSlack);
  }
  CHECK(tensor_memory().now == before.now);
  CHECK(tensor_memory().peak - before.now >= 3 * kSize);
  CHECK(tensor_memory().peak - before.now <= 3 * (kSize + kSlack));
  restart_tensor_peak();
  CHECK(tensor_memory().peak == before.now);
}
