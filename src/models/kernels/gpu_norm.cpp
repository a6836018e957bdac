#include "models/kernels/gpu_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "gpu_launch.h"
#include "gpu_programs.h"
#include "models/kernels/optional_tensor.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct AddNormGpu : torch::autograd::Function<AddNormGpu> {
  static variable_list forward(AutogradContext* ctx,
                               const at::Tensor& given,
                               const std::optional<at::Tensor>& given_branch,
                               const at::Tensor& given_weight,
                               const at::Tensor& given_bias,
                               double eps,
                               at::ScalarType type,
                               const GpuProgram* program) {
    ctx->set_materialize_grads(false);
    const c10::DeviceGuard guard(given.device());
    const at::Tensor x = readable(given), branch = readable(given_branch.value_or(at::Tensor()));
    const at::Tensor weight = readable(given_weight), bias = readable(given_bias);
    const int64_t rows = x.numel() / x.size(-1);
    const at::Tensor stream = branch.defined() ? at::empty_like(x) : x;
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(type));
    const at::Tensor moments = at::empty({rows, 2}, x.options());
    launch(*program,
           "add_norm",
           rows,
           x.device(),
           x,
           branch,
           weight,
           bias,
           static_cast<float>(eps),
           rows,
           stream,
           y,
           moments);
    ctx->save_for_backward({stream, weight, moments});
    ctx->saved_data["type"] = type;
    ctx->saved_data["branch"] = branch.defined();
    ctx->saved_data["program"] = reinterpret_cast<int64_t>(program);
    return {stream, y};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto type = ctx->saved_data["type"].toScalarType();
    const bool branched = ctx->saved_data["branch"].toBool();
    const at::Tensor dstream = readable(grads[0]);
    if (!grads[1].defined()) {
      return {dstream, branched ? dstream.to(type) : at::Tensor(), {}, {}, {}, {}, {}};
    }
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &moments = saved[2];
    const c10::DeviceGuard guard(x.device());
    const auto* program = reinterpret_cast<const GpuProgram*>(ctx->saved_data["program"].toInt());
    const at::Tensor dy = readable(grads[1].to(type));
    const int64_t rows = moments.size(0), warps = gpu_norm_warps(rows);
    const at::Tensor dx = at::empty_like(x);
    const at::Tensor dbranch = branched ? at::empty_like(dy) : at::Tensor();
    const at::Tensor sums = at::empty({warps, 2, x.size(-1)}, x.options());
    launch(*program,
           "add_norm_backward",
           warps,
           x.device(),
           x,
           dy,
           weight,
           moments,
           dstream,
           rows,
           dx,
           dbranch,
           sums);
    const at::Tensor whole = sums.sum(0);
    return {dx, dbranch, whole[0], whole[1], {}, {}, {}};
  }
};

GpuTrial trial(at::Device device, at::ScalarType type, int64_t width) {
  constexpr double kEps = 1e-6;
  TrialNumbers numbers(device);
  variable_list leaves = {numbers({kTrialRows, width}, at::kFloat),
                          numbers({kTrialRows, width}, type),
                          numbers({width}, at::kFloat),
                          numbers({width}, at::kFloat)};
  const variable_list gradients = {numbers({kTrialRows, width}, at::kFloat),
                                   numbers({kTrialRows, width}, type)};
  for (at::Tensor& leaf : leaves) leaf.requires_grad_();
  return [=](const GpuProgram* program) {
    const at::Tensor &x = leaves[0], &branch = leaves[1], &weight = leaves[2], &bias = leaves[3];
    variable_list results;
    if (program != nullptr) {
      results = AddNormGpu::apply(x, maybe(branch), weight, bias, kEps, type, program);
    } else {
      const at::Tensor sum = x.add(branch);
      results = {sum, at::layer_norm(sum, {width}, weight, bias, kEps).to(type)};
    }
    const variable_list own = torch::autograd::grad(results, leaves, gradients);
    results.insert(results.end(), own.begin(), own.end());
    return results;
  };
}

}  // namespace

int64_t gpu_norm_warps(int64_t rows) {
  return GpuProgram::kWarps * GpuProgram::blocks_of(std::clamp<int64_t>(rows / 8, 1, 1024));
}

const GpuProgram* gpu_norm_program(const at::Tensor& x,
                                   const at::Tensor& branch,
                                   at::ScalarType type) {
  constexpr int64_t kWidest = 1536;  // a thread has registers for no more
  const int64_t width = x.size(-1);
  const bool fits =
      x.scalar_type() == at::kFloat && x.numel() > 0 && width % 4 == 0 && width <= kWidest &&
      (!branch.defined() || (branch.scalar_type() == type && branch.sizes() == x.sizes()));
  static RowPrograms programs({"LayerNorm", kGpuNormSource, gpu_defines, trial});
  return fits ? programs.find(x.device(), type, width) : nullptr;
}

Forked gpu_add_norm(const GpuProgram& program,
                    const at::Tensor& x,
                    const at::Tensor& branch,
                    const at::Tensor& weight,
                    const at::Tensor& bias,
                    double eps,
                    at::ScalarType type) {
  const variable_list both = AddNormGpu::apply(x, maybe(branch), weight, bias, eps, type, &program);
  return {both[0], both[1]};
}

}  // namespace previt
