#include "finetune/classifier.h"

#include <torch/types.h>

#include <limits>
#include <utility>

#include "finetune/losses.h"
#include "finetune/random_erasing.h"
#include "random.h"

namespace previt {
namespace {

constexpr char kVit[] = "vit";

// The trainer seeds torch's generator before each micro-step, so a seed drawn from it repeats on
// resume.
uint64_t seed_of_step() {
  return static_cast<uint64_t>(
      torch::randint(std::numeric_limits<int64_t>::max(), {1}, torch::kInt64).item<int64_t>());
}

}  // namespace

Classifier::Classifier(std::shared_ptr<Vit> vit,
                       FinetuneRun run,
                       std::shared_ptr<const Distillation> distillation)
    : run_(std::move(run)),
      distillation_(std::move(distillation)),
      vit_(register_module(kVit, std::move(vit))) {}

StepResult Classifier::step(const Batch& batch, const StepInfo&) {
  at::Tensor images = batch.views.at(0);
  Random random(seed_of_step());
  const FinetuneOptions& options = run_.finetune;
  if (options.erasing > 0) images = random_erasing(images, options.erasing, random);
  std::vector<Mix> mixes;
  if (options.mix.on()) {
    mixes = draw_mixes(options.mix, images.size(0), images.size(2), images.size(3), random);
  }
  return loss(images, batch.labels.to(images.device()), mixes);
}

StepResult Classifier::loss(const at::Tensor& images,
                            const at::Tensor& labels,
                            const std::vector<Mix>& mixes) {
  const at::Tensor seen = mixes.empty() ? images : mix_images(images, mixes);
  if (!distillation_) return label_loss(vit_->forward(seen), labels, mixes);
  const std::vector<at::Tensor> logits = vit_->head_logits(seen);
  StepResult result = label_loss(logits.front(), labels, mixes);
  const at::Tensor distance = distillation_->distance(logits.back(), seen);
  result.metrics.emplace_back("label_loss", result.loss.detach());
  result.metrics.emplace_back("distillation_loss", distance.detach());
  result.loss = distillation_->loss(result.loss, distance);
  return result;
}

StepResult Classifier::label_loss(const at::Tensor& logits,
                                  const at::Tensor& labels,
                                  const std::vector<Mix>& mixes) const {
  const double smoothing = run_.finetune.smoothing;
  if (mixes.empty()) {
    const at::Tensor loss = smoothing > 0 ? label_smoothing_cross_entropy(logits, labels, smoothing)
                                          : cross_entropy(logits, labels);
    const at::Tensor right = (logits.detach().argmax(1) == labels).to(torch::kFloat32).mean();
    return {.loss = loss, .metrics = {{"train_top1", 100 * right}}};
  }
  const at::Tensor targets =
      mix_targets(smoothed_targets(labels, logits.size(1), smoothing), mixes);
  // A mixed image has no single right answer, so there is no train_top1.
  return {.loss = soft_target_cross_entropy(logits, targets), .metrics = {}};
}

Settings Classifier::frozen_parts() const {
  if (!distillation_) return {};
  return {{"checksum of distillation.teacher", distillation_->teacher_checksum()}};
}

ParamRules Classifier::param_rules() const {
  const ParamRules rules =
      with_layer_decay(decay_matrices_except({"pos_embed", "cls_token", "dist_token"}),
                       run_.options.optimizer.layer_decay,
                       vit_->options().depth);
  // The rules know the Vit's own names, without this objective's prefix.
  const size_t prefix = std::string(kVit).size() + 1;
  return [rules, prefix](const std::string& name, const at::Tensor& parameter) {
    return rules(name.substr(prefix), parameter);
  };
}

}  // namespace previt
