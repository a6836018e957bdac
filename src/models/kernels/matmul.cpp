#include "models/kernels/matmul.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <vector>

#include "cpu_level.h"
#include "models/kernels/elementwise.h"
#include "models/kernels/float_matmul.h"
#include "models/kernels/matmul_ways.h"
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

const Operator& onednn() {
  static const Operator op =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  return op;
}

// Without its instructions, bfloat16 is computed in float32 and rounded.
bool has_bf16() { return cpu_level() >= CpuLevel::kAvx512Bf16; }

bool is_bf16(const at::Tensor& a) { return a.scalar_type() == at::kBFloat16; }

// Other types and devices are LibTorch's own business.
bool has_ways(const at::Tensor& a) {
  return a.is_cpu() && (is_bf16(a) || a.scalar_type() == at::kFloat);
}

// With fewer rows padding gains nothing, and in float32 neither.
bool padding_pays(const at::Tensor& a) {
  return is_bf16(a) && a.size(0) >= kManyRows && a.is_contiguous();
}

// Few threads each sum over their own share of the rows: for most numbers of rows, that is 7 %
// faster than oneDNN's division of one matmul. Many threads would leave many sums to add.
constexpr int64_t kFewThreads = 4;

// How many threads sum over their own rows; 1: the matmul is not divided here.
int64_t summing_threads(const at::Tensor& a) {
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  const bool pays = is_bf16(a) && threads <= kFewThreads && a.size(0) >= threads * kManyRows;
  return pays ? threads : 1;
}

// Calls body(t) for each of as many threads.
template <class F>
void on_threads(int64_t threads, const F& body) {
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    // parallel_for does not pass the caller's thread-local state on to its threads.
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    for (int64_t t = first; t < last; ++t) body(t);
  });
}

at::Tensor divided_over_rows(const at::Tensor& a, const at::Tensor& b, int64_t threads) {
  const int64_t rows = a.size(0);
  const at::Tensor sums = at::empty({threads, a.size(1), b.size(1)}, a.options());
  on_threads(threads, [&](int64_t t) {
    const int64_t begin = t * rows / threads, count = (t + 1) * rows / threads - begin;
    at::Tensor own = sums[t];
    at::mm_out(own, a.narrow(0, begin, count).t(), b.narrow(0, begin, count));
  });
  return loops::sum_widened(sums);
}

// Calls body(begin, count) with each thread's share of n.
template <class F>
void for_shares(int64_t n, const F& body) {
  const int64_t threads = at::get_num_threads(), tiles = padded_rows(n) / PaddedRows::kTile;
  const auto start = [&](int64_t t) {
    return std::min(n, t * tiles / threads * PaddedRows::kTile);
  };
  on_threads(threads, [&](int64_t t) {
    if (start(t) < start(t + 1)) body(start(t), start(t + 1) - start(t));
  });
}

// a b, whose columns the threads share: with AMX, oneDNN leaves threads idle where a result is
// narrow.
at::Tensor divided_over_columns(const at::Tensor& a, const at::Tensor& b) {
  at::Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
  for_shares(b.size(1), [&](int64_t begin, int64_t count) {
    at::Tensor own = y.narrow(1, begin, count);
    at::mm_out(own, a, b.narrow(1, begin, count));
  });
  return y;
}

// aᵀ b, float32, by a copy of aᵀ: with AMX, oneDNN takes twice the time for one that isn't
// contiguous.
at::Tensor over_rows_of_copy(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = loops::transposed(a);
  at::Tensor y = at::empty({a.size(1), b.size(1)}, a.options().dtype(at::kFloat));
  for_shares(y.size(0), [&](int64_t begin, int64_t count) {
    y.narrow(0, begin, count).copy_(at::mm(left.narrow(0, begin, count), b));
  });
  return y;
}

}  // namespace

at::Tensor matmul_transposed(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  if (!has_ways(a)) return at::linear(a, b, bias.defined() ? bias.to(a.scalar_type()) : bias);
  const bool bf16 = is_bf16(a);
  if (bf16 && !has_bf16()) {
    return matmul_transposed(a.to(at::kFloat), b.to(at::kFloat), bias).to(at::kBFloat16);
  }
  const at::Tensor rows = padding_pays(a) ? PaddedRows(a).padded() : a;
  const auto plus_bias = [&](at::Tensor y) {
    if (bias.defined()) loops::add_bias(y, bias.to(at::kFloat).contiguous());
    return y;
  };
  std::vector<MatmulWay> ways{{"framework", [&] { return plus_bias(at::mm(rows, b.t())); }}};
  if (onednn()) {
    // The fixed choice in float32, and where it adds the bias.
    const bool first = !bf16 || bias.defined();
    ways.insert(first ? ways.begin() : ways.end(),
                {"onednn", [&] { return onednn_linear(*onednn(), rows, b, bias); }});
  }
  if (bf16) {
    ways.push_back({"columns", [&] { return plus_bias(divided_over_columns(rows, b.t())); }});
    if (!b.is_contiguous() && b.t().is_contiguous()) {
      ways.push_back({"transposed", [&] {
                        return plus_bias(divided_over_columns(rows, loops::transposed(b.t()).t()));
                      }});
    }
    ways.push_back(
        {"float32", [&] {
           return plus_bias(at::mm(a.to(at::kFloat), b.to(at::kFloat).t())).to(at::kBFloat16);
         }});
  } else {
    ways.push_back({"panels", [&] { return plus_bias(float_matmul(a, b.t())); }});
  }
  const char* kind = bias.defined() ? "a*bT+bias" : b.is_contiguous() ? "a*bT" : "a*b";
  const MatmulShape shape{kind, a.scalar_type(), a.size(0), b.size(0), a.size(1)};
  return matmul_ways().compute(shape, ways).narrow(0, 0, a.size(0));
}

at::Tensor matmul_over_rows(const at::Tensor& a, const at::Tensor& b) {
  if (!has_ways(a)) return at::mm(a.t(), b).to(at::kFloat);
  const bool bf16 = is_bf16(a);
  if (bf16 && !has_bf16()) return matmul_over_rows(a.to(at::kFloat), b.to(at::kFloat));
  std::vector<MatmulWay> ways{{"framework", [&] { return at::mm(a.t(), b).to(at::kFloat); }}};
  if (onednn()) {
    ways.push_back(
        {"onednn", [&] { return onednn_linear(*onednn(), a.t(), b.t(), {}).to(at::kFloat); }});
  }
  const int64_t threads = summing_threads(a);
  if (threads > 1) {
    ways.insert(ways.begin(), {"divided", [&] { return divided_over_rows(a, b, threads); }});
  }
  if (bf16) {
    if (a.is_contiguous()) ways.push_back({"transposed", [&] { return over_rows_of_copy(a, b); }});
    ways.push_back({"float32", [&] { return at::mm(a.t().to(at::kFloat), b.to(at::kFloat)); }});
  } else {
    ways.push_back({"panels", [&] { return float_matmul(a.t(), b); }});
  }
  return matmul_ways().compute({"aT*b", a.scalar_type(), a.size(0), a.size(1), b.size(1)}, ways);
}

}  // namespace previt
