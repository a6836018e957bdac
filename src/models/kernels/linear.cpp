#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/kernels/elementwise.h"
#include "models/kernels/gpu_gelu.h"
#include "models/kernels/kernels.h"
#include "models/kernels/matmul.h"
#include "models/kernels/optional_tensor.h"
#include "models/kernels/precision.h"
#include "models/kernels/weight_arena.h"
#include "models/kernels/weight_copy.h"

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

// The functions below take a weight twice: as the parameter that gets the gradient, and as its
// values in the compute type, which the matmuls of both passes read.
at::Tensor values_of(const at::Tensor& weight, WeightCopy* copy) {
  const at::ScalarType type = compute_type();
  return copy != nullptr ? copy->of(weight, type) : weight.detach().to(type);
}

// Saves what both functions need: the input's rows in the compute type (its gradient needs the
// weight's values, the weight's gradient needs the rows), and how to shape what they return.
void keep(AutogradContext* ctx,
          const at::Tensor& x,
          const at::Tensor& rows,
          const at::Tensor& values,
          const at::Tensor& bias,
          const at::Tensor& derivative) {
  ctx->save_for_backward({rows, values, derivative});
  ctx->saved_data["shape"] = x.sizes();
  ctx->saved_data["type"] = x.scalar_type();
  ctx->saved_data["bias"] = bias.defined();
}

// dx = dy W, dW = dyᵀ x; the bias's gradient is given.
variable_list gradients(AutogradContext* ctx,
                        const at::Tensor& dy,
                        const at::Tensor& bias_gradient) {
  const auto saved = ctx->get_saved_variables();
  const at::Tensor &rows = saved[0], &values = saved[1];
  at::Tensor dx, dw, db;
  if (ctx->needs_input_grad(0)) {
    dx = matmul_transposed(dy, values.t())
             .view(ctx->saved_data["shape"].toIntVector())
             .to(ctx->saved_data["type"].toScalarType());
  }
  if (ctx->needs_input_grad(1)) dw = matmul_over_rows(dy, rows);
  if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2)) db = bias_gradient;
  return {dx, dw, db, at::Tensor()};
}

struct LinearCpu : torch::autograd::Function<LinearCpu> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& /*weight*/,
                            const std::optional<at::Tensor>& given_bias,
                            const at::Tensor& values) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor rows = rows_of(x, values.scalar_type());
    const at::Tensor y = matmul_transposed(rows, values, bias);
    keep(ctx, x, rows, values, bias, {});
    return y.view(with_last(x, y.size(1)));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor dy = rows_of(grads[0], ctx->get_saved_variables()[0].scalar_type());
    return gradients(
        ctx, dy, ctx->saved_data["bias"].toBool() ? loops::column_sums(dy) : at::Tensor());
  }
};

at::Tensor linear_gelu_without_gradient(const at::Tensor& x,
                                        const at::Tensor& values,
                                        const at::Tensor& bias) {
  at::Tensor y = matmul_transposed(rows_of(x, values.scalar_type()), values);
  loops::gelu_(y, float_bias(bias, values));
  return y.view(with_last(x, y.size(1)));
}

struct LinearGeluCpu : torch::autograd::Function<LinearGeluCpu> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& /*weight*/,
                            const std::optional<at::Tensor>& given_bias,
                            const at::Tensor& values) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor rows = rows_of(x, values.scalar_type());
    const at::Tensor sums = matmul_transposed(rows, values);
    const auto [y, derivative] = loops::gelu_with_derivative(sums, float_bias(bias, values));
    keep(ctx, x, rows, values, bias, derivative);
    return y.view(with_last(x, y.size(1)));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor derivative = ctx->get_saved_variables()[2];
    const auto [dy, sums] =
        loops::multiply_with_sums(rows_of(grads[0], derivative.scalar_type()), derivative);
    return gradients(ctx, dy, sums);
  }
};

// A weight's values as a tensor whose gradient goes to the weight itself.
struct ValuesOf : torch::autograd::Function<ValuesOf> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& weight,
                            const at::Tensor& values) {
    ctx->saved_data["type"] = weight.scalar_type();
    return values.alias();
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {grads[0].to(ctx->saved_data["type"].toScalarType()), at::Tensor()};
  }
};

// In an arena, all biases are converted at once.
at::Tensor bias_in(at::ScalarType type, const at::Tensor& bias) {
  const at::Tensor copy = copy_in_arena(bias, type);
  return copy.defined() ? ValuesOf::apply(bias, copy) : bias.to(type);
}

at::Tensor plain_linear(const at::Tensor& x,
                        const at::Tensor& weight,
                        const at::Tensor& bias,
                        WeightCopy* copy) {
  const at::ScalarType type = compute_type();
  // Contiguous rows let LibTorch add the bias as the product is written.
  return at::linear(x.to(type).contiguous(),
                    in_compute_type(weight, copy),
                    bias.defined() ? bias_in(type, bias) : bias);
}

// By LibTorch's product and, where there is one, a GPU's kernel of our own for the rest.
at::Tensor plain_linear_gelu(const at::Tensor& x,
                             const at::Tensor& weight,
                             const at::Tensor& bias,
                             WeightCopy* copy) {
  const bool fits = bias.defined() && bias.scalar_type() == at::kFloat && x.numel() > 0;
  const GpuProgram* const program =
      fits ? gpu_gelu_program(x.device(), compute_type(), weight.size(0)) : nullptr;
  if (program == nullptr) return at::gelu(plain_linear(x, weight, bias, copy));
  return gpu_bias_gelu(*program, plain_linear(x, weight, {}, copy), bias);
}

}  // namespace

at::Tensor in_compute_type(const at::Tensor& weight, WeightCopy* copy) {
  return weight.scalar_type() == compute_type() ? weight
                                                : ValuesOf::apply(weight, values_of(weight, copy));
}

at::Tensor linear(const at::Tensor& x,
                  const at::Tensor& weight,
                  const at::Tensor& bias,
                  WeightCopy* copy) {
  if (!use_cpu_kernels(x)) return plain_linear(x, weight, bias, copy);
  return LinearCpu::apply(x, weight, maybe(bias), values_of(weight, copy));
}

at::Tensor linear_gelu(const at::Tensor& x,
                       const at::Tensor& weight,
                       const at::Tensor& bias,
                       WeightCopy* copy) {
  if (!use_cpu_kernels(x)) return plain_linear_gelu(x, weight, bias, copy);
  const at::Tensor values = values_of(weight, copy);
  return at::GradMode::is_enabled() ? LinearGeluCpu::apply(x, weight, maybe(bias), values)
                                    : linear_gelu_without_gradient(x, values, bias);
}

}  // namespace previt
