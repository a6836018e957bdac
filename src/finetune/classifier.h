#pragma once

#include <memory>
#include <vector>

#include "finetune/distillation.h"
#include "finetune/finetune_options.h"
#include "finetune/mixup.h"
#include "pretrain/objective.h"

namespace previt {

/// Supervised training of a whole Vit with its head, as an objective of the shared trainer
/// (mae:engine_finetune.py, deit:engine.py): random erasing, then mixup or CutMix, then soft-target
/// cross-entropy; without mixing, cross-entropy with label smoothing. With distillation the class
/// token's head learns from the labels and the distillation token's from the teacher; without, two
/// heads are trained as the mean that they are evaluated as.
class Classifier : public Objective {
 public:
  /// vit has its head already (Vit::set_num_classes). `distillation` may be null; its teacher is on
  /// the vit's device.
  Classifier(std::shared_ptr<Vit> vit,
             FinetuneRun run,
             std::shared_ptr<const Distillation> distillation = nullptr);

  std::vector<ViewSpec> views() const override { return {run_.augment}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::shared_ptr<Vit> backbone() override { return vit_; }

  /// No decay on 1-D parameters, positions, class and distillation token; rates fall layer by layer
  /// from the head.
  ParamRules param_rules() const override;

  /// step with the mixing given: images [B, C, H, W] float, labels [B], mixes of size 1 or B, or
  /// none.
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
