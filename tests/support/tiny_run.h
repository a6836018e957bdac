#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <functional>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt::test {

/// Random images [3, 8, 8] in memory, in a new order each epoch, in batches of `batch`. An epoch
/// has whole steps of `step` images; 0: all images, the last batch may be smaller.
class MemorySource final : public BatchSource {
 public:
  MemorySource(int64_t samples, int64_t batch, int64_t step = 0);

  EpochPlan epoch_plan() const override { return plan_; }
  void seek(int64_t epoch, int64_t batch) override;
  Batch next() override;

  std::function<void()> before_next;  ///< called at each next()

 private:
  at::Tensor images_, labels_;
  EpochPlan plan_;
  int64_t epoch_ = 0, batch_ = 0;
};

/// The smallest thing that can be trained: a ViT of one block and a linear layer on its pooled
/// features, whose outputs are to be 1. With `noise` the features get random numbers from torch's
/// generator on top.
class TinyObjective : public Objective {
 public:
  explicit TinyObjective(bool noise = false);

  std::vector<ViewSpec> views() const override;
  StepResult step(const Batch& batch, const StepInfo& info) override;
  void after_optimizer_step(const StepInfo&) override { moves.add_(1); }
  void skipped_optimizer_step(const StepInfo&) override { ++skipped; }
  std::shared_ptr<Vit> backbone() override { return vit; }

  std::shared_ptr<Vit> vit;
  at::Tensor weight;  ///< not the backbone's
  at::Tensor moves;   ///< buffer that counts optimizer steps
  int64_t skipped = 0;
  std::function<at::Tensor(const at::Tensor& loss, const StepInfo&)> change_loss;
  std::function<double(const StepInfo&)> weight_of = [](const StepInfo&) { return 0; };

 private:
  bool noise_;
};

/// Options that suit both classes: fp32, batches of 8, constant rate, 3 epochs.
RunOptions tiny_options();

/// Copies of all parameters and buffers.
std::vector<at::Tensor> snapshot(const torch::nn::Module& module);
bool same(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);

}  // namespace previt::test
