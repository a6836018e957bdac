#include "models/layers/activation_checkpoint.h"

#include <ATen/Context.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <utility>
#include <vector>

#include "models/kernels/precision.h"

namespace previt {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Puts a generator into a state for a scope, after which it goes on from where it was.
class GeneratorState {
 public:
  GeneratorState(at::Generator generator, const at::Tensor& state)
      : generator_(std::move(generator)) {
    const std::scoped_lock lock(generator_.mutex());
    before_ = generator_.get_state();
    generator_.set_state(state);
  }
  ~GeneratorState() {
    const std::scoped_lock lock(generator_.mutex());
    generator_.set_state(before_);
  }
  GeneratorState(const GeneratorState&) = delete;
  GeneratorState& operator=(const GeneratorState&) = delete;

  static at::Tensor of(at::Generator generator) {
    const std::scoped_lock lock(generator.mutex());
    return generator.get_state();
  }

 private:
  at::Generator generator_;
  at::Tensor before_;
};

// What both passes need and no graph holds.
struct Passes : torch::CustomClassHolder {
  Computation compute;
  at::Tensor x, bias;  // only until the first pass has saved them
  variable_list parameters;
  at::ScalarType type = at::kFloat;
  at::Tensor random;
};

at::Tensor leaf(const at::Tensor& x) {
  return x.defined() ? x.detach().set_requires_grad(x.requires_grad()) : x;
}

// Those that a gradient is asked for, in one order for both passes.
variable_list trained(const at::Tensor& x, const at::Tensor& bias, const variable_list& others) {
  variable_list inputs = {x, bias};
  inputs.insert(inputs.end(), others.begin(), others.end());
  std::erase_if(inputs, [](const at::Tensor& t) { return !t.defined() || !t.requires_grad(); });
  return inputs;
}

struct Checkpointed : torch::autograd::Function<Checkpointed> {
  static at::Tensor forward(AutogradContext* ctx,
                            at::TensorList /*inputs*/,
                            const c10::intrusive_ptr<Passes>& passes) {
    ctx->save_for_backward({passes->x, passes->bias});
    ctx->saved_data["passes"] = c10::IValue::make_capsule(passes);
    const at::Tensor x = std::exchange(passes->x, {}), bias = std::exchange(passes->bias, {});
    // With gradients on, the layers choose the kernels that they choose in the second pass and
    // without checkpointing. The graph that this makes is gone when the function returns.
    const at::AutoGradMode on(true);
    return passes->compute(leaf(x), leaf(bias)).detach();
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto passes =
        c10::static_intrusive_pointer_cast<Passes>(ctx->saved_data["passes"].toCapsule());
    const at::Tensor x = leaf(saved[0]), bias = leaf(saved[1]);
    const ComputeTypeGuard type(passes->type);
    const GeneratorState random(at::globalContext().defaultGenerator(x.device()), passes->random);
    const at::AutoGradMode on(true);
    variable_list gradients = torch::autograd::grad({passes->compute(x, bias)},
                                                    trained(x, bias, passes->parameters),
                                                    {grads[0]},
                                                    /*retain_graph=*/std::nullopt,
                                                    /*create_graph=*/false,
                                                    /*allow_unused=*/true);
    gradients.emplace_back();  // of `passes`
    return gradients;
  }
};

}  // namespace

at::Tensor checkpointed(const Computation& compute,
                        const at::Tensor& x,
                        const at::Tensor& bias,
                        const std::vector<at::Tensor>& parameters) {
  const variable_list inputs = trained(x, bias, parameters);
  if (!at::GradMode::is_enabled() || inputs.empty()) return compute(x, bias);
  const auto passes = c10::make_intrusive<Passes>();
  passes->compute = compute;
  passes->x = x;
  passes->bias = bias;
  passes->parameters = trained({}, {}, parameters);
  passes->type = compute_type();
  passes->random = GeneratorState::of(at::globalContext().defaultGenerator(x.device()));
  return Checkpointed::apply(at::TensorList(inputs), passes);
}

}  // namespace previt
