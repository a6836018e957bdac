#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <vector>

#include "models/kernels/elementwise.h"
#include "models/kernels/loop_types.h"
#include "models/kernels/loops/scale.h"
#include "models/kernels/padded_rows.h"

namespace previt::loops {
using simd::Bf16;

at::Tensor add_widening(const at::Tensor& x, const at::Tensor& branch) {
  at::Tensor y = at::empty_like(x);
  at::parallel_for(0, x.numel(), grain(1), [&](int64_t begin, int64_t end) {
    add_scaled_span(pointer<float>(x) + begin,
                    pointer<Bf16>(branch) + begin,
                    1,
                    pointer<float>(y) + begin,
                    end - begin);
  });
  return y;
}

at::Tensor add_scaled(const at::Tensor& x,
                      const at::Tensor& branch,
                      const at::Tensor& kept,
                      float factor) {
  at::Tensor y = at::empty_like(x);
  const int64_t images = x.size(0), size = x.numel() / images;
  const auto* begin_of_kept = kept.const_data_ptr<int64_t>();
  const auto* end_of_kept = begin_of_kept + kept.numel();
  for_type(branch, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, images, grain(size), [&](int64_t begin, int64_t end) {
      // The first kept image of this range: `kept` is rising.
      const auto* next = std::lower_bound(begin_of_kept, end_of_kept, begin);
      for (int64_t i = begin; i < end; ++i) {
        const float* from = pointer<float>(x) + i * size;
        float* to = pointer<float>(y) + i * size;
        if (next != end_of_kept && *next == i) {
          const T* own = pointer<T>(branch) + (next++ - begin_of_kept) * size;
          add_scaled_span(from, own, factor, to, size);
        } else {
          std::copy_n(from, size, to);
        }
      }
    });
  });
  return y;
}

at::Tensor take_scaled(const at::Tensor& x,
                       const at::Tensor& kept,
                       float factor,
                       at::ScalarType type) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape[0] = kept.numel();
  at::Tensor y = PaddedRows(shape, x.options().dtype(type)).view();
  const int64_t size = x.numel() / x.size(0);
  const auto* images = kept.const_data_ptr<int64_t>();
  for_type(y, [&](auto tag) {
    using T = decltype(tag);
    at::parallel_for(0, shape[0], grain(size), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        scaled_span(pointer<float>(x) + images[i] * size, factor, pointer<T>(y) + i * size, size);
      }
    });
  });
  return y;
}

}  // namespace previt::loops
