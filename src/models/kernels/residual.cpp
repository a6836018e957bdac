#include <torch/csrc/autograd/custom_function.h>

#include "models/kernels/elementwise.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct WideningAdd : torch::autograd::Function<WideningAdd> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& x, const at::Tensor& branch) {
    return loops::add_widening(x.contiguous(), branch.contiguous());
  }
  static variable_list backward(AutogradContext*, const variable_list& grads) {
    return {grads[0], grads[0].to(at::kBFloat16)};
  }
};

struct ScaledAdd : torch::autograd::Function<ScaledAdd> {
  static at::Tensor forward(AutogradContext* ctx,
                            const at::Tensor& x,
                            const at::Tensor& branch,
                            const at::Tensor& kept,
                            double factor) {
    ctx->save_for_backward({kept});
    ctx->saved_data["factor"] = factor;
    ctx->saved_data["type"] = branch.scalar_type();
    return loops::add_scaled(x.contiguous(), branch.contiguous(), kept, static_cast<float>(factor));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor branch =
        loops::take_scaled(grads[0].contiguous(),
                           ctx->get_saved_variables()[0],
                           static_cast<float>(ctx->saved_data["factor"].toDouble()),
                           ctx->saved_data["type"].toScalarType());
    return {grads[0], branch, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor add_residual(const at::Tensor& x,
                        const at::Tensor& branch,
                        const at::Tensor& kept,
                        double factor) {
  if (use_cpu_kernels(x) && x.scalar_type() == at::kFloat) {
    return ScaledAdd::apply(x, branch, kept, factor);
  }
  return x.index_add(0, kept, branch.to(x.scalar_type()), factor);
}

at::Tensor add_residual(const at::Tensor& x, const at::Tensor& branch) {
  // A GPU widens the branch as it adds.
  const bool widens = !x.is_cpu() && x.scalar_type() == at::kFloat;
  if (x.scalar_type() == branch.scalar_type() || widens) return x.add(branch);
  const bool ours = use_cpu_kernels(x) && x.scalar_type() == at::kFloat &&
                    branch.scalar_type() == at::kBFloat16 && x.sizes() == branch.sizes();
  // The framework adds mixed types on a path that takes several times as long as an explicit cast.
  return ours ? WideningAdd::apply(x, branch) : branch.to(x.scalar_type()).add_(x);
}

}  // namespace previt
