#include "models/kernels/float_matmul.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "models/kernels/loops/float_panels.h"

namespace previt {
namespace {

// Rows of memory in one of the two directions.
at::Tensor in_rows(const at::Tensor& x) {
  return x.stride(0) == 1 || x.stride(1) == 1 ? x : x.contiguous();
}

}  // namespace

at::Tensor float_matmul(const at::Tensor& left, const at::Tensor& right) {
  const at::Tensor a = in_rows(left), b = in_rows(right);
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  at::Tensor c = at::empty({m, n}, a.options());
  const auto *pa = a.const_data_ptr<float>(), *pb = b.const_data_ptr<float>();
  auto* pc = c.mutable_data_ptr<float>();
  // Each thread takes a share of the longer side, in whole blocks, and copies the other operand.
  constexpr int64_t kBlock = 96;  // a multiple of the rows and of the columns of every level's tile
  const bool by_rows = m > n;
  const int64_t side = by_rows ? m : n, blocks = (side + kBlock - 1) / kBlock;
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), blocks);
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    const int64_t begin = first * blocks / threads * kBlock;
    const int64_t end = std::min(side, last * blocks / threads * kBlock);
    const int64_t i = by_rows ? begin : 0, j = by_rows ? 0 : begin;
    loops::float_panels({pa + i * a.stride(0), a.stride(0), a.stride(1)},
                        {pb + j * b.stride(1), b.stride(0), b.stride(1)},
                        pc + i * n + j,
                        n,
                        by_rows ? end - begin : m,
                        by_rows ? n : end - begin,
                        k);
  });
  return c;
}

}  // namespace previt
