#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>

namespace previt {

/// Fills a contiguous CPU tensor from nbytes() bytes of any alignment. Booleans other than 0 and 1,
/// which only a damaged file holds, become true: reading them as bool would be undefined.
inline void set_bytes(const at::Tensor& tensor, const char* bytes) {
  const size_t size = tensor.nbytes();
  if (size == 0) return;
  if (tensor.scalar_type() != at::kBool) {
    std::memcpy(tensor.data_ptr(), bytes, size);
    return;
  }
  auto* to = static_cast<bool*>(tensor.data_ptr());
  for (size_t i = 0; i < size; ++i) to[i] = bytes[i] != 0;
}

}  // namespace previt
