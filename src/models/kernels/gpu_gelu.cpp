#include "models/kernels/gpu_gelu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <c10/core/DeviceGuard.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "gpu_launch.h"
#include "gpu_programs.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct BiasGeluGpu : torch::autograd::Function<BiasGeluGpu> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& given,
                            const at::Tensor& given_bias,
                            const GpuProgram* program) {
    const c10::DeviceGuard guard(given.device());
    const at::Tensor product = readable(given), bias = readable(given_bias);
    const int64_t width = product.size(-1), rows = product.numel() / width;
    const GeluShares shares(rows, width, product.scalar_type());
    const at::Tensor y = at::empty_like(product);
    launch(*program,
           "bias_gelu",
           shares.stripes * shares.parts,
           product.device(),
           product,
           bias,
           rows,
           shares.parts,
           y);
    ctx->save_for_backward({product, bias});
    ctx->saved_data["program"] = reinterpret_cast<int64_t>(program);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &product = saved[0], &bias = saved[1];
    const c10::DeviceGuard guard(product.device());
    const auto* program = reinterpret_cast<const GpuProgram*>(ctx->saved_data["program"].toInt());
    const at::Tensor dy = readable(grads[0].to(product.scalar_type()));
    const int64_t width = product.size(-1), rows = product.numel() / width;
    const GeluShares shares(rows, width, product.scalar_type());
    const at::Tensor dproduct = at::empty_like(product);
    const at::Tensor sums = at::empty({shares.backward_parts, width}, bias.options());
    launch(*program,
           "bias_gelu_backward",
           shares.stripes * shares.backward_parts,
           product.device(),
           product,
           bias,
           dy,
           rows,
           shares.backward_parts,
           dproduct,
           sums);
    return {dproduct, sums.sum(0), {}};
  }
};

// LibTorch adds the bias where it writes the product, in no time that could be seen.
GpuTrial gelu_trial(at::Device device, at::ScalarType type, int64_t width) {
  TrialNumbers numbers(device);
  const at::Tensor product = numbers({kTrialRows, width}, type).requires_grad_();
  const at::Tensor bias = numbers({width}, at::kFloat).requires_grad_();
  const at::Tensor gradient = numbers({kTrialRows, width}, type);
  const at::Tensor whole = product.detach().add(bias.detach()).to(type).requires_grad_();
  return [=](const GpuProgram* program) -> variable_list {
    if (program == nullptr) {
      const at::Tensor y = at::gelu(whole);
      const at::Tensor own = torch::autograd::grad({y}, {whole}, {gradient})[0];
      return {y, own, own.sum(0)};
    }
    const at::Tensor y = BiasGeluGpu::apply(product, bias, program);
    const variable_list own = torch::autograd::grad({y}, {product, bias}, {gradient});
    return {y, own[0], own[1].to(type)};
  };
}

}  // namespace

GeluShares::GeluShares(int64_t rows, int64_t width, at::ScalarType type) {
  // A warp reads the bias once for its rows, and has a sum to write only after enough of them.
  constexpr int64_t kRows = 8, kBackwardRows = 16;
  constexpr int64_t kBackwardWarps = 4096;  // keep a GPU's memory busy
  const int64_t columns = 32 * gpu_gelu_columns(width, c10::elementSize(type));
  stripes = (width + columns - 1) / columns;
  parts = (rows + kRows - 1) / kRows;
  backward_parts =
      std::clamp<int64_t>(rows / kBackwardRows, 1, std::max<int64_t>(1, kBackwardWarps / stripes));
}

std::vector<std::string> gpu_gelu_defines(at::ScalarType type, int64_t width) {
  std::vector<std::string> defines = gpu_defines(type, width);
  defines.push_back(
      fmt::format("PREVIT_COLUMNS={}", gpu_gelu_columns(width, c10::elementSize(type))));
  return defines;
}

const GpuProgram* gpu_gelu_program(at::Device device, at::ScalarType type, int64_t width) {
  static RowPrograms programs({"GELU", kGpuGeluSource, gpu_gelu_defines, gelu_trial});
  return programs.find(device, type, width);
}

at::Tensor gpu_bias_gelu(const GpuProgram& program,
                         const at::Tensor& product,
                         const at::Tensor& bias) {
  return BiasGeluGpu::apply(product, bias, &program);
}

}  // namespace previt
