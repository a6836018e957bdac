#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

/// a [M, K] times b [K, N], float32 on the CPU, by the project's own loops: [M, N]. Transposed views
/// are read as they lie. On processors where LibTorch's libraries don't use what there is, this is
/// the fastest way.
at::Tensor float_matmul(const at::Tensor& a, const at::Tensor& b);

}  // namespace previt
