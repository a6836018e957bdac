#include "models/kernels/loops/norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "models/kernels/gpu_norm.h"
#include "models/kernels/kernels.h"
#include "models/kernels/optional_tensor.h"
#include "models/kernels/padded_rows.h"
#include "models/kernels/precision.h"

namespace previt {
namespace {

using simd::Bf16;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Calls body with pointers to x and y in their types.
template <class F>
void with_types(const at::Tensor& x, const at::Tensor& y, const F& body) {
  const auto second = [&](auto* px) {
    if (y.scalar_type() == at::kFloat) {
      body(px, static_cast<float*>(y.data_ptr()));
    } else {
      body(px, static_cast<Bf16*>(y.data_ptr()));
    }
  };
  if (x.scalar_type() == at::kFloat) {
    second(static_cast<float*>(x.data_ptr()));
  } else {
    second(static_cast<Bf16*>(x.data_ptr()));
  }
}

// The rows of x that y's rows come from: those of the images `kept`, or all.
struct Source {
  Source(const at::Tensor& x, const at::Tensor& kept)
      : images(kept.defined() ? kept.const_data_ptr<int64_t>() : nullptr),
        count(kept.defined() ? kept.numel() : x.size(0)),
        rows_per_image(x.numel() / std::max<int64_t>(1, x.size(0) * x.size(-1))) {}

  int64_t rows() const { return count * rows_per_image; }

  // Calls body(row of x, row of y, rows) for each run of neighbouring rows from begin to end of y.
  template <class F>
  void each_stretch(int64_t begin, int64_t end, const F& body) const {
    if (images == nullptr) return body(begin, begin, end - begin);
    for (int64_t row = begin, next; row < end; row = next) {
      const int64_t image = row / rows_per_image;
      next = std::min(end, (image + 1) * rows_per_image);
      body(images[image] * rows_per_image + row % rows_per_image, row, next - row);
    }
  }

  // Calls body(row of x, rows) for each run of x's rows that y leaves out.
  template <class F>
  void each_gap(int64_t rows_of_x, const F& body) const {
    if (images == nullptr) return;
    int64_t row = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t next = images[i] * rows_per_image;
      if (next > row) body(row, next - row);
      row = next + rows_per_image;
    }
    if (rows_of_x > row) body(row, rows_of_x - row);
  }

  const int64_t* images;
  int64_t count, rows_per_image;
};

// Gives x and its norm: the gradients of the two are summed row by row as they are made.
struct LayerNormCpu : torch::autograd::Function<LayerNormCpu> {
  static variable_list forward(AutogradContext* ctx,
                               const at::Tensor& given,
                               const at::Tensor& weight,
                               const at::Tensor& bias,
                               double eps,
                               const std::optional<at::Tensor>& given_kept) {
    // A result that is not used has no gradient then, instead of one of zeros to add.
    ctx->set_materialize_grads(false);
    const at::Tensor x = given.contiguous(), kept = given_kept.value_or(at::Tensor());
    const Source source(x, kept);
    const int64_t n = x.size(-1), rows = source.rows();
    std::vector<int64_t> shape = x.sizes().vec();
    shape[0] = source.count;
    const at::Tensor y = PaddedRows(shape, x.options().dtype(compute_type())).view();
    const at::Tensor moments = at::empty({rows, 2}, x.options().dtype(at::kFloat));
    const auto *w = weight.const_data_ptr<float>(), *b = bias.const_data_ptr<float>();
    with_types(x, y, [&](auto* px, auto* py) {
      at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        source.each_stretch(begin, end, [&](int64_t from, int64_t to, int64_t count) {
          loops::norm_rows(px + from * n,
                           w,
                           b,
                           static_cast<float>(eps),
                           count,
                           n,
                           py + to * n,
                           moments.mutable_data_ptr<float>() + 2 * to);
        });
      });
    });
    ctx->save_for_backward({x, weight, moments, kept});
    ctx->saved_data["type"] = y.scalar_type();
    return {x, y};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    if (!grads[1].defined()) return {grads[0], {}, {}, {}, {}};
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &moments = saved[2], &kept = saved[3];
    const at::Tensor dy = grads[1].to(ctx->saved_data["type"].toScalarType()).contiguous();
    const at::Tensor residual = grads[0].defined() ? grads[0].contiguous() : grads[0];
    const int64_t n = x.size(-1), rows = moments.size(0);
    const Source source(x, kept);
    const at::Tensor dx = at::empty_like(x);
    const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows / 16));
    const at::Tensor sums = at::zeros({parts, 2, n}, moments.options());
    with_types(x, dy, [&](auto* px, auto* pdy) {
      using X = std::remove_pointer_t<decltype(px)>;
      X* to = static_cast<X*>(dx.data_ptr());
      const X* from = residual.defined() ? static_cast<const X*>(residual.data_ptr()) : nullptr;
      source.each_gap(x.numel() / n, [&](int64_t row, int64_t count) {
        if (from == nullptr) {
          std::fill_n(to + row * n, count * n, X{});
        } else {
          std::copy_n(from + row * n, count * n, to + row * n);
        }
      });
      // Each part adds up the gradients of weight and bias for its own rows.
      at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
        for (int64_t part = first; part < last; ++part) {
          const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
          source.each_stretch(begin, end, [&](int64_t row, int64_t own, int64_t count) {
            loops::norm_backward_rows(px + row * n,
                                      pdy + own * n,
                                      weight.const_data_ptr<float>(),
                                      moments.const_data_ptr<float>() + 2 * own,
                                      count,
                                      n,
                                      from == nullptr ? from : from + row * n,
                                      to + row * n,
                                      sums.mutable_data_ptr<float>() + part * 2 * n);
          });
        }
      });
    });
    const at::Tensor whole = parts == 1 ? sums[0] : sums.sum(0);
    return {dx, whole[0], whole[1], at::Tensor(), at::Tensor()};
  }
};

bool has_float_weights(const at::Tensor& weight, const at::Tensor& bias) {
  return weight.scalar_type() == at::kFloat && bias.scalar_type() == at::kFloat;
}

// x + branch (x itself if that is undefined) and its norm by a GPU's kernel, if there is one for it.
std::optional<Forked> forked_on_gpu(const at::Tensor& x,
                                    const at::Tensor& branch,
                                    const at::Tensor& weight,
                                    const at::Tensor& bias,
                                    double eps,
                                    const at::Tensor& kept) {
  if (kept.defined() || !has_float_weights(weight, bias)) return std::nullopt;
  const GpuProgram* program = gpu_norm_program(x, branch, compute_type());
  if (program == nullptr) return std::nullopt;
  return gpu_add_norm(*program, x, branch, weight, bias, eps, compute_type());
}

}  // namespace

Forked fork_layer_norm(const at::Tensor& x,
                       const at::Tensor& weight,
                       const at::Tensor& bias,
                       double eps,
                       const at::Tensor& kept) {
  const bool contiguous = weight.is_contiguous() && bias.is_contiguous();
  if (use_cpu_kernels(x) && has_float_weights(weight, bias) && contiguous) {
    const variable_list both = LayerNormCpu::apply(x, weight, bias, eps, maybe(kept));
    return {both[0], both[1]};
  }
  if (auto forked = forked_on_gpu(x, {}, weight, bias, eps, kept)) return *forked;
  const at::Tensor chosen = kept.defined() ? x.index_select(0, kept) : x;
  return {
      x, at::layer_norm(chosen.to(at::kFloat), {x.size(-1)}, weight, bias, eps).to(compute_type())};
}

Forked add_fork_layer_norm(const at::Tensor& x,
                           const at::Tensor& branch,
                           const at::Tensor& weight,
                           const at::Tensor& bias,
                           double eps,
                           const at::Tensor& kept) {
  if (auto forked = forked_on_gpu(x, branch, weight, bias, eps, kept)) return *forked;
  return fork_layer_norm(add_residual(x, branch), weight, bias, eps, kept);
}

at::Tensor layer_norm(const at::Tensor& x,
                      const at::Tensor& weight,
                      const at::Tensor& bias,
                      double eps) {
  return fork_layer_norm(x, weight, bias, eps).normed;
}

}  // namespace previt
