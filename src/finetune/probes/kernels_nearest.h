#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

/// The k rows most similar to each query, by the dot product, on the CPU: similarities [Q, k]
/// float32, largest first, and ids [Q, k] int64. train [N, D], queries [Q, D] contiguous float32.
/// excluded: the row that query 0 must not find, query i's being i more; negative: none. Among
/// equals the smaller row comes first, so the result does not depend on the threads. Every query
/// must have k rows of comparable similarity.
void nearest_on_cpu(const at::Tensor& train,
                    const at::Tensor& queries,
                    int64_t excluded,
                    at::Tensor similarities,
                    at::Tensor ids);

}  // namespace previt
