#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/kernels/kernels.h"
#include "models/kernels/loops.h"
#include "models/kernels/optional_tensor.h"
#include "models/kernels/precision.h"
#include "models/kernels/products.h"
#include "models/kernels/weights.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor rows_of(const at::Tensor& x, at::ScalarType type) {
  return x.reshape({-1, x.size(-1)}).to(type).contiguous();
}

at::Tensor float_bias(const at::Tensor& bias, const at::Tensor& weight) {
  return bias.defined() ? bias.detach().to(at::kFloat).contiguous()
                        : at::zeros({weight.size(0)}, weight.options().dtype(at::kFloat));
}

std::vector<int64_t> with_last(const at::Tensor& x, int64_t width) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = width;
  return shape;
}

// What both functions keep: the input's rows in the compute type (its gradient needs the weight,
// the weight's gradient needs the rows), and how to shape what they return.
void keep(AutogradContext* ctx,
          const at::Tensor& x,
          const at::Tensor& rows,
          const at::Tensor& weight,
          const at::Tensor& bias,
          const at::Tensor& derivative) {
  ctx->save_for_backward({rows, weight, derivative});
  ctx->saved_data["shape"] = x.sizes();
  ctx->saved_data["type"] = x.scalar_type();
  ctx->saved_data["bias"] = bias.defined();
}

// dx = dy W, dW = dyᵀ x; the bias's gradient is given.
variable_list gradients(AutogradContext* ctx,
                        const at::Tensor& dy,
                        const at::Tensor& bias_gradient) {
  const auto saved = ctx->get_saved_variables();
  const at::Tensor &rows = saved[0], &weight = saved[1];
  at::Tensor dx, dw, db;
  if (ctx->needs_input_grad(0)) {
    dx = product_with_transposed(dy, weight_as(weight, dy.scalar_type()).t())
             .view(ctx->saved_data["shape"].toIntVector())
             .to(ctx->saved_data["type"].toScalarType());
  }
  if (ctx->needs_input_grad(1)) dw = product_over_rows(dy, rows);
  if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2)) db = bias_gradient;
  return {dx, dw, db};
}

struct LinearCpu : torch::autograd::Function<LinearCpu> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& weight,
                            const std::optional<at::Tensor>& given_bias) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::ScalarType type = compute_type();
    const at::Tensor rows = rows_of(x, type);
    const at::Tensor y = product_with_transposed(rows, weight_as(weight, type), bias);
    keep(ctx, x, rows, weight, bias, {});
    return y.view(with_last(x, y.size(1)));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor dy = rows_of(grads[0], ctx->get_saved_variables()[0].scalar_type());
    return gradients(
        ctx, dy, ctx->saved_data["bias"].toBool() ? loops::column_sums(dy) : at::Tensor());
  }
};

at::Tensor linear_gelu_without_gradient(const at::Tensor& x,
                                        const at::Tensor& weight,
                                        const at::Tensor& bias) {
  const at::ScalarType type = compute_type();
  at::Tensor y = product_with_transposed(rows_of(x, type), weight_as(weight, type));
  loops::gelu_(y, float_bias(bias, weight));
  return y.view(with_last(x, y.size(1)));
}

struct LinearGeluCpu : torch::autograd::Function<LinearGeluCpu> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& weight,
                            const std::optional<at::Tensor>& given_bias) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::ScalarType type = compute_type();
    const at::Tensor rows = rows_of(x, type);
    const at::Tensor product = product_with_transposed(rows, weight_as(weight, type));
    const auto [y, derivative] = loops::gelu_with_derivative(product, float_bias(bias, weight));
    keep(ctx, x, rows, weight, bias, derivative);
    return y.view(with_last(x, y.size(1)));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor derivative = ctx->get_saved_variables()[2];
    const auto [dy, sums] =
        loops::multiply_with_sums(rows_of(grads[0], derivative.scalar_type()), derivative);
    return gradients(ctx, dy, sums);
  }
};

// The copy of the weight made once a version, with a gradient that goes to the weight itself.
struct WeightCopy : torch::autograd::Function<WeightCopy> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weight, int64_t type) {
    ctx->saved_data["type"] = weight.scalar_type();
    return weight_as(weight, static_cast<at::ScalarType>(type)).alias();
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {grads[0].to(ctx->saved_data["type"].toScalarType()), at::Tensor()};
  }
};

at::Tensor plain_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::ScalarType type = compute_type();
  const at::Tensor w =
      weight.scalar_type() == type ? weight : WeightCopy::apply(weight, static_cast<int64_t>(type));
  return at::linear(x.to(type), w, bias.defined() ? bias.to(type) : bias);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return use_cpu_kernels(x) ? LinearCpu::apply(x, weight, maybe(bias))
                            : plain_linear(x, weight, bias);
}

at::Tensor linear_gelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!use_cpu_kernels(x)) return at::gelu(plain_linear(x, weight, bias));
  return at::GradMode::is_enabled() ? LinearGeluCpu::apply(x, weight, maybe(bias))
                                    : linear_gelu_without_gradient(x, weight, bias);
}

}  // namespace previt
