#include "pretrain/train/optimizer.h"

#include <torch/types.h>

#include "error.h"
#include "pretrain/train/adamw.h"
#include "pretrain/train/momentum.h"

namespace previt {

std::vector<TrainedParameter> trained_parameters(const torch::nn::Module& module,
                                                 const ParamRules& rules) {
  std::vector<TrainedParameter> trained;
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    trained.push_back({item.key(), item.value(), rules(item.key(), item.value())});
  }
  return trained;
}

// Gradients are removed rather than zeroed, so that a parameter that gets none is left alone.
void Optimizer::zero_grad() {
  for (auto& parameter : parameters_) parameter.tensor.mutable_grad().reset();
}

std::string Optimizer::state_name(const Slot& slot, const TrainedParameter& parameter) {
  return fmt::format("{}.{}", slot.name, parameter.name);
}

std::vector<at::Tensor>& Optimizer::slots_of(size_t i) {
  state_.resize(parameters_.size());
  auto& tensors = state_[i];
  if (tensors.empty()) {
    const at::Tensor& like = parameters_[i].tensor;
    for (const Slot& slot : slots()) {
      tensors.push_back(slot.scalar ? torch::zeros({}, like.options().requires_grad(false))
                                    : torch::zeros_like(like, like.suggest_memory_format()));
    }
  }
  return tensors;
}

NamedTensors Optimizer::state() const {
  NamedTensors named;
  const auto all = slots();
  for (size_t i = 0; i < state_.size(); ++i) {
    for (size_t slot = 0; slot < state_[i].size(); ++slot) {
      named[state_name(all[slot], parameters_[i])] = state_[i][slot];
    }
  }
  return named;
}

void Optimizer::require_fits(const NamedTensors& state) const {
  size_t used = 0;
  for (const TrainedParameter& parameter : parameters_) {
    for (const Slot& slot : slots()) {
      const auto saved = state.find(state_name(slot, parameter));
      if (saved == state.end()) continue;
      const auto expected = slot.scalar ? at::IntArrayRef{} : parameter.tensor.sizes();
      require(saved->second.sizes() == expected,
              "optimizer state {}: shape {} but {} expected",
              saved->first,
              saved->second.sizes(),
              expected);
      ++used;
    }
  }
  require(used == state.size(),
          "optimizer state: {} of {} tensors belong to no parameter",
          state.size() - used,
          state.size());
}

void Optimizer::load_state(const NamedTensors& state) {
  require_fits(state);
  const auto all = slots();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    for (size_t slot = 0; slot < all.size(); ++slot) {
      const auto saved = state.find(state_name(all[slot], parameters_[i]));
      if (saved != state.end()) slots_of(i)[slot].copy_(saved->second);
    }
  }
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<TrainedParameter> parameters) {
  switch (options.name) {
    case OptimizerKind::adamw:
      break;
    case OptimizerKind::lars:
      return std::make_unique<Lars>(options, std::move(parameters));
    case OptimizerKind::sgd:
      return std::make_unique<Sgd>(options, std::move(parameters));
  }
  return std::make_unique<AdamW>(options, std::move(parameters));
}

}  // namespace previt
