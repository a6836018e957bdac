#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <filesystem>
#include <functional>
#include <string>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt::test {

/// A folder of its own under the system's temporary one, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Random images [C, H, W] in memory, in a new order each epoch, in batches of `batch`; the last
/// batch of an epoch may be smaller.
class MemorySource final : public BatchSource {
 public:
  MemorySource(int64_t samples, int64_t batch, int64_t side = 4, uint64_t seed = 1);

  int64_t batches_per_epoch() const override;
  int64_t samples_per_epoch() const override { return images_.size(0); }
  void seek(int64_t epoch, int64_t batch) override;
  Batch next() override;

  std::function<void()> before_next;  ///< called at each next()

 private:
  at::Tensor images_, labels_;
  int64_t batch_size_, epoch_ = 0, batch_ = 0;
  uint64_t seed_;
};

/// Mean squared error of a linear map with bias of the image to a fixed target, plus what torch's
/// generator draws if `noise`: the smallest thing that can be trained.
class TinyObjective : public Objective {
 public:
  explicit TinyObjective(bool noise = false, int64_t side = 4);

  std::vector<ViewSpec> views() const override;
  StepResult step(const Batch& batch, const StepInfo& info) override;
  void after_optimizer_step(const StepInfo&) override { moves.add_(1); }
  void skipped_optimizer_step(const StepInfo&) override { ++skipped; }
  std::shared_ptr<Vit> backbone() override { return nullptr; }

  at::Tensor weight, bias, target, moves;
  int64_t skipped = 0;
  std::function<at::Tensor(const at::Tensor& loss, const StepInfo&)> change_loss;

 private:
  bool noise_;
};

/// Options that suit both: no warm-up, fp32, constant rate.
RunOptions tiny_options();

}  // namespace previt::test
