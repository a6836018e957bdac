#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "models/weights/safetensors.h"

namespace previt {

/// Exponential moving average of a module's weights: average ← decay · average + (1 - decay) ·
/// weight after each step, starting at the weights. Buffers and frozen parameters are copied as
/// they are. On a device, it is average + (1 - decay) · (weight - average), and one kernel where the
/// weights lie in an arena (weight_arena.h).
class Ema {
 public:
  Ema(const torch::nn::Module& module, double decay);

  /// Takes in the weights after a step. `made`: StepInfo::made.
  void update(const at::Tensor& made = {});

  /// The averages by the module's names. They share memory with this object.
  NamedTensors tensors() const;
  /// Throws Error naming a tensor that is missing or has the wrong shape.
  void load(const NamedTensors& saved);

  /// Exchanges weights and averages: call twice, around an evaluation.
  void swap();

 private:
  struct Entry {
    std::string name;
    at::Tensor own;  // averaged while it is trained
    at::Tensor weight, average;
    int64_t copied = -1;  // version of a frozen weight to which its average is equal
    bool bridges() const;
  };
  std::vector<Entry> entries_;
  double decay_;
};

/// The module computes with its averages in this scope; does nothing without an `ema`.
class EmaScope {
 public:
  explicit EmaScope(Ema* ema);
  ~EmaScope();
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  Ema* ema_;
};

}  // namespace previt
