#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "models/kernels/loops/simd.h"

namespace previt::loops {

// From tensors to the types that the loops are written for.

/// Pointer to the first element, in a type of the loops: float or simd::Bf16.
template <class T>
T* pointer(const at::Tensor& t) {
  return reinterpret_cast<T*>(t.data_ptr());
}

/// Calls body with a value of t's type, float or simd::Bf16.
template <class F>
void for_type(const at::Tensor& t, const F& body) {
  if (t.scalar_type() == at::kBFloat16) {
    body(simd::Bf16{});
  } else {
    TORCH_INTERNAL_ASSERT(t.scalar_type() == at::kFloat);
    body(0.f);
  }
}

/// How many rows of `row` elements are worth a thread of their own.
inline int64_t grain(int64_t row) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row));
}

}  // namespace previt::loops
