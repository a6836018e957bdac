#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "models/weights/safetensors.h"
#include "pretrain/param_rules.h"
#include "pretrain/run_options.h"

namespace previt {

/// A parameter that the optimizer updates, and how.
struct TrainedParameter {
  std::string name;
  at::Tensor tensor;
  ParamRule rule;
};

/// The parameters of `module` that require a gradient, in order of registration.
std::vector<TrainedParameter> trained_parameters(const torch::nn::Module& module,
                                                 const ParamRules& rules);

/// Updates parameters from their gradients. A parameter without a gradient is left alone: no decay,
/// and its step is not counted. The state is named tensors, so that checkpoints do not depend on
/// order.
class Optimizer {
 public:
  explicit Optimizer(std::vector<TrainedParameter> parameters)
      : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;

  /// One update at the rate `lr`, scaled as each parameter's rule says. `weight_decay` counts for
  /// those whose rule decays. Where leaves_out(), `made` may be a bool scalar on the device:
  /// nothing changes if it is false, nor is a step counted. Throws Error for a `made` elsewhere.
  void step(double lr, double weight_decay, const at::Tensor& made = {}) {
    require(!made.defined() || leaves_out(), "optimizer: this one can't leave out a step");
    make_step(lr, weight_decay, made);
  }
  virtual bool leaves_out() const { return false; }
  void zero_grad();

  const std::vector<TrainedParameter>& parameters() const { return parameters_; }

  /// A tensor of state that each parameter has, zeros until its first step.
  struct Slot {
    const char* name;
    bool scalar;  ///< one float32 number rather than the parameter's shape
  };
  virtual std::vector<Slot> slots() const = 0;

  /// "<slot>.<parameter>" → tensor, sharing memory with the optimizer.
  virtual NamedTensors state() const;
  /// Throws Error naming a tensor that is unknown or has the wrong shape.
  virtual void load_state(const NamedTensors& state);

 protected:
  virtual void make_step(double lr, double weight_decay, const at::Tensor& made) = 0;
  /// Slot tensors of parameter i, made on first use.
  std::vector<at::Tensor>& slots_of(size_t i);
  /// As what state() has a slot of a parameter.
  static std::string state_name(const Slot& slot, const TrainedParameter& parameter);
  /// Throws Error as load_state does.
  void require_fits(const NamedTensors& state) const;

 private:
  std::vector<TrainedParameter> parameters_;
  std::vector<std::vector<at::Tensor>> state_;
};

/// The optimizer that options.name asks for.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<TrainedParameter> parameters);

}  // namespace previt
