#include "distributed/tensor_forms.h"

#include <ATen/ops/from_blob.h>

namespace previt {
namespace {

at::ScalarType added_in(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
    case at::kHalf:
      return at::kFloat;
    case at::kBool:
    case at::kShort:
      return at::kInt;
    default:
      return type;
  }
}

}  // namespace

at::Tensor as_gloo_adds(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU, added_in(tensor.scalar_type())).contiguous();
}

at::Tensor as_bytes(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.detach().to(at::kCPU).contiguous();
  return at::from_blob(
      whole.data_ptr(), {static_cast<int64_t>(whole.nbytes())}, [whole](void*) {}, at::kByte);
}

}  // namespace previt
