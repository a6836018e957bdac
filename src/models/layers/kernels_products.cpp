#include "models/layers/kernels_products.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/mm.h>

namespace previt {
namespace {

using Operator = std::optional<c10::OperatorHandle>;

// Called with boxed arguments: the C++ types of its strings differ between LibTorch's versions.
at::Tensor onednn_linear(const c10::OperatorHandle& op, const at::Tensor& a, const at::Tensor& b) {
  torch::jit::Stack stack;
  torch::jit::push(stack, a, b, c10::IValue(), "none");
  torch::jit::push(stack, c10::List<std::optional<at::Scalar>>(), "");
  op.callBoxed(stack);
  return torch::jit::pop(stack).toTensor();
}

}  // namespace

at::Tensor product_with_transposed(const at::Tensor& a, const at::Tensor& b) {
  static const Operator op =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (op && a.scalar_type() == at::kFloat) return onednn_linear(*op, a, b);
  return at::mm(a, b.t());
}

}  // namespace previt
