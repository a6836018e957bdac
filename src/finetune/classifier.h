#pragma once

#include <memory>
#include <vector>

#include "finetune/distillation.h"
#include "finetune/finetune_options.h"
#include "finetune/mixup.h"
#include "pretrain/objective.h"

namespace previt {

/// Supervised training of a whole Vit with its head, as an objective of the shared trainer
/// (mae:engine_finetune.py, deit:engine.py). The steps are random erasing, then mixup or CutMix,
/// then soft-target cross-entropy; without mixing, cross-entropy with label smoothing. With
/// distillation, the class token's head learns from the labels and the distillation token's head
/// from the teacher. Without it, a model with two heads trains their mean, which is also what is
/// evaluated.
class Classifier : public Objective {
 public:
  /// The vit already has its head (Vit::set_num_classes). `distillation` may be null; its teacher
  /// is on the vit's device.
  Classifier(std::shared_ptr<Vit> vit,
             FinetuneRun run,
             std::shared_ptr<const Distillation> distillation = nullptr);

  std::vector<ViewSpec> views() const override { return {run_.augment}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::shared_ptr<Vit> backbone() override { return vit_; }

  /// The teacher's checksum when distilling: a run is resumed with the teacher that it began with.
  Settings frozen_parts() const override;

  /// No weight decay on 1-D parameters, positions, class token and distillation token. The
  /// learning rate falls from layer to layer, from the head to the embeddings.
  ParamRules param_rules() const override;

  /// A step whose mixing is given: images [B, C, H, W] float, labels [B] int64, mixes of size 1 or
  /// B, or empty.
  StepResult loss(const at::Tensor& images,
                  const at::Tensor& labels,
                  const std::vector<Mix>& mixes);

 private:
  StepResult label_loss(const at::Tensor& logits,
                        const at::Tensor& labels,
                        const std::vector<Mix>& mixes) const;

  FinetuneRun run_;
  std::shared_ptr<const Distillation> distillation_;
  std::shared_ptr<Vit> vit_;
};

}  // namespace previt
