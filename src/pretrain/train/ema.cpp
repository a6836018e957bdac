#include "pretrain/train/ema.h"

#include <torch/types.h>

#include <utility>

#include "error.h"
#include "models/kernels/weight_arena.h"

namespace previt {

Ema::Ema(const torch::nn::Module& module, double decay) : decay_(decay) {
  std::vector<at::Tensor> weights;
  const auto add = [&](const auto& items) {
    for (const auto& item : items) {
      weights.push_back(item.value().detach());
      entries_.push_back({item.key(), item.value(), weights.back(), {}});
    }
  };
  add(module.named_parameters());
  add(module.named_buffers());
  auto copies = copies_like(weights);
  for (size_t i = 0; i < copies.size(); ++i) entries_[i].average = std::move(copies[i]);
}

// On a device, a frozen weight that is equal to its average may stay between others of an arena if
// it is small: what leaves it as it is costs less there than a kernel more.
bool Ema::Entry::bridges() const {
  constexpr int64_t kSmall = 1 << 20;  // elements
  return !weight.is_cpu() && in_arena(weight) && weight.numel() <= kSmall &&
         copied == weight._version();
}

void Ema::update(const at::Tensor& made) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> averages, weights, copies, originals;
  for (auto& entry : entries_) {
    const bool averaged = entry.own.requires_grad() || entry.bridges();
    (averaged ? averages : copies).push_back(entry.average);
    (averaged ? weights : originals).push_back(entry.weight);
    entry.copied = entry.own.requires_grad() ? -1 : static_cast<int64_t>(entry.weight._version());
  }
  if (made.defined()) {
    lerp_all(averages, weights, made * (1 - decay_));
  } else if (averages.empty() || !averages.front().is_cpu()) {
    lerp_all(averages, weights, 1 - decay_);
  } else {
    const auto runs = joined({averages, weights});
    for (size_t i = 0; i < runs[0].size(); ++i) {
      runs[0][i].mul_(decay_).add_(runs[1][i], 1 - decay_);
    }
  }
  const auto runs = joined({copies, originals});
  for (size_t i = 0; i < runs[0].size(); ++i) runs[0][i].copy_(runs[1][i]);
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
    entry.copied = -1;
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
