#include "models/kernels/matmul.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include "cpu_level.h"
#include "models/kernels/elementwise.h"
#include "models/kernels/padded_rows.h"

namespace previt {
namespace {

constexpr int64_t kManyRows = 512;

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

// With fewer rows padding gains nothing, and in float32 neither.
bool padding_pays(const at::Tensor& a) {
  return a.scalar_type() == at::kBFloat16 && a.size(0) >= kManyRows && a.is_contiguous();
}

at::Tensor matmul(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  static const Operator op =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  // For bfloat16, the framework's own choice is as fast without a bias, and faster on a processor
  // without AVX-512 BF16.
  const bool by_onednn =
      a.scalar_type() == at::kFloat || (bias.defined() && cpu_level() >= CpuLevel::kAvx512Bf16);
  if (op && by_onednn) return onednn_linear(*op, a, b, bias);
  at::Tensor y = at::mm(a, b.t());
  if (bias.defined()) loops::add_bias(y, bias.to(at::kFloat).contiguous());
  return y;
}

// Few threads each sum over their own share of the rows: for most numbers of rows, that is 7 %
// faster than oneDNN's division of one matmul. Many threads would leave many sums to add.
constexpr int64_t kFewThreads = 4;

// How many threads sum over their own rows; 1: the matmul is not divided here.
int64_t summing_threads(const at::Tensor& a) {
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const bool pays = a.scalar_type() == at::kBFloat16 && threads <= kFewThreads &&
                    a.size(0) >= threads * kManyRows;
  return pays ? threads : 1;
}

}  // namespace

at::Tensor matmul_transposed(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  const at::Tensor rows = padding_pays(a) ? PaddedRows(a).padded() : a;
  return matmul(rows, b, bias).narrow(0, 0, a.size(0));
}

at::Tensor matmul_over_rows(const at::Tensor& a, const at::Tensor& b) {
  const int64_t rows = a.size(0), threads = summing_threads(a);
  if (threads == 1) return at::mm(a.t(), b).to(at::kFloat);
  const at::Tensor sums = at::empty({threads, a.size(1), b.size(1)}, a.options());
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    // parallel_for does not pass the caller's thread-local state on to its threads.
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    for (int64_t t = first; t < last; ++t) {
      const int64_t begin = t * rows / threads, count = (t + 1) * rows / threads - begin;
      at::Tensor own = sums[t];
      at::mm_out(own, a.narrow(0, begin, count).t(), b.narrow(0, begin, count));
    }
  });
  return loops::sum_widened(sums);
}

}  // namespace previt
