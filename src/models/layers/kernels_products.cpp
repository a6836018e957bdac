#include "models/layers/kernels_products.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/util/accumulate.h>

#include "models/layers/kernels_gemm.h"
#include "models/layers/kernels_loops.h"

namespace previt {
namespace {

constexpr int64_t kRowBlock = 32;
constexpr int64_t kManyRows = 512;  // fewer gain nothing

using Operator = std::optional<c10::OperatorHandle>;

// Called with boxed arguments: the C++ types of its strings differ between LibTorch's versions.
at::Tensor onednn_linear(const c10::OperatorHandle& op,
                         const at::Tensor& a,
                         const at::Tensor& b,
                         const at::Tensor& bias) {
  torch::jit::Stack stack;
  torch::jit::push(stack, a, b);
  torch::jit::push(stack, bias.defined() ? c10::IValue(bias.to(a.scalar_type())) : c10::IValue());
  torch::jit::push(stack, "none", c10::List<std::optional<at::Scalar>>(), "");
  op.callBoxed(stack);
  return torch::jit::pop(stack).toTensor();
}

int64_t whole_blocks(int64_t rows) { return (rows + kRowBlock - 1) / kRowBlock * kRowBlock; }

// The same rows and those behind them, as far as the memory is the tensor's own: what these hold
// doesn't matter.
at::Tensor with_room(const at::Tensor& a) {
  const int64_t rows = whole_blocks(a.size(0)), needed = a.storage_offset() + rows * a.size(1);
  const bool pays = a.scalar_type() == at::kBFloat16 && a.size(0) >= kManyRows;
  const bool there = static_cast<int64_t>(a.storage().nbytes() / a.element_size()) >= needed;
  return pays && there && a.is_contiguous() ? a.as_strided({rows, a.size(1)}, {a.size(1), 1}) : a;
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  static const Operator op =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  // Without a bias the framework's own choice for bfloat16 is as fast; without AVX-512 it is
  // faster.
  const bool by_onednn =
      a.scalar_type() == at::kFloat || (bias.defined() && best_gemm_level() != GemmLevel::kGeneric);
  if (op && by_onednn) return onednn_linear(*op, a, b, bias);
  at::Tensor y = at::mm(a, b.t());
  if (bias.defined()) loops::add_bias(y, bias.to(at::kFloat).contiguous());
  return y;
}

}  // namespace

at::Tensor product_with_transposed(const at::Tensor& a,
                                   const at::Tensor& b,
                                   const at::Tensor& bias) {
  return product(with_room(a), b, bias).narrow(0, 0, a.size(0));
}

at::Tensor empty_rows(at::IntArrayRef shape, const at::TensorOptions& options) {
  const int64_t width = shape.back(), values = c10::multiply_integers(shape);
  const int64_t rows = width == 0 ? 0 : values / width;
  return at::empty({whole_blocks(rows) * width}, options).narrow(0, 0, values).view(shape);
}

}  // namespace previt
