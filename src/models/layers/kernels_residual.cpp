#include <torch/csrc/autograd/custom_function.h>

#include "models/layers/kernels.h"
#include "models/layers/kernels_loops.h"
#include "models/layers/precision.h"

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

}  // namespace

at::Tensor add_residual(const at::Tensor& x, const at::Tensor& branch) {
  if (x.scalar_type() == branch.scalar_type()) return x.add(branch);
  const bool ours = use_cpu_kernels(x) && x.scalar_type() == at::kFloat &&
                    branch.scalar_type() == at::kBFloat16 && x.sizes() == branch.sizes();
  // Mixed types would go through a slow path of the framework: several times an explicit cast.
  return ours ? WideningAdd::apply(x, branch) : branch.to(x.scalar_type()).add_(x);
}

}  // namespace previt
