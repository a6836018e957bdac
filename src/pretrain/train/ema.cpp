#include "pretrain/train/ema.h"

#include <torch/types.h>

#include "error.h"

namespace previt {

Ema::Ema(const torch::nn::Module& module, double decay) : decay_(decay) {
  const auto add = [this](const auto& items) {
    for (const auto& item : items) {
      const at::Tensor weight = item.value().detach();
      entries_.push_back({item.key(), item.value(), weight, weight.clone()});
    }
  };
  add(module.named_parameters());
  add(module.named_buffers());
}

void Ema::update(const at::Tensor& made) {
  const torch::NoGradGuard no_grad;
  const at::Tensor share = made.defined() ? made * (1 - decay_) : at::Tensor();
  for (auto& entry : entries_) {
    const bool trained = entry.own.requires_grad();
    if (made.defined() && trained) {
      entry.average.lerp_(entry.weight, share);
    } else if (made.defined()) {
      entry.average.copy_(torch::where(made, entry.weight, entry.average));
    } else if (trained) {
      entry.average.mul_(decay_).add_(entry.weight, 1 - decay_);
    } else {
      entry.average.copy_(entry.weight);
    }
  }
}

NamedTensors Ema::tensors() const {
  NamedTensors named;
  for (const auto& entry : entries_) named[entry.name] = entry.average;
  return named;
}

void Ema::load(const NamedTensors& saved) {
  const torch::NoGradGuard no_grad;
  for (auto& entry : entries_) {
    const auto found = saved.find(entry.name);
    require(found != saved.end() && found->second.sizes() == entry.average.sizes(),
            "averaged weights: {} is missing or has another shape",
            entry.name);
    entry.average.copy_(found->second);
  }
}

void Ema::swap() {
  const torch::NoGradGuard no_grad;
  for (auto& entry : entries_) {
    const at::Tensor weight = entry.weight.clone();
    entry.weight.copy_(entry.average);
    entry.average.copy_(weight);
  }
}

EmaScope::EmaScope(Ema* ema) : ema_(ema) {
  if (ema_ != nullptr) ema_->swap();
}

EmaScope::~EmaScope() {
  if (ema_ != nullptr) ema_->swap();
}

}  // namespace previt
