#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/tokenizers/dvae.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// The defaults are DALL-E's (Ramesh et al. 2021, appendix A.2). Its numbers of updates are given
/// as epochs of ImageNet-1k at batch 512.
struct DvaeMethodOptions {
  int64_t vocabulary = 8192;
  ConvOptions network;
  double temperature = 1;             ///< of the Gumbel-softmax, at the first step
  double temperature_end = 1.0 / 16;  ///< reached by a cosine
  double temperature_epochs = 60;     ///< 150,000 updates
  double kl_weight = 6.6;     ///< of an image's KL divergence, relative to its pixels' likelihood
  double kl_epochs = 2;       ///< over which the weight rises from 0: 5,000 updates
  double usage_decay = 0.99;  ///< of the averaged token counts in the metrics
};
void visit(FieldVisitor& v, DvaeMethodOptions& o);

/// The sections `dvae:` and `augment:` of a recipe. Of `model` it uses image_size, patch_size (a
/// power of two) and in_channels.
struct DvaeOptions {
  DvaeMethodOptions dvae;
  /// A size of 0: as model.image_size.
  ViewSpec augment{.height = 0, .width = 0, .pixels = PixelScale::kPlain};

  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, DvaeOptions& o);

/// Trains BEiT's first tokenizer as DALL-E's was (Ramesh et al. 2021, appendix A.2): pixels are
/// reconstructed from a relaxed sample of each cell's token (Gumbel-softmax), and a KL divergence
/// keeps the tokens near a uniform prior. The loss is per pixel value.
class DvaeTraining final : public Objective {
 public:
  DvaeTraining(const DvaeOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override { return {view_}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  void after_optimizer_step(const StepInfo&) override;
  void skipped_optimizer_step(const StepInfo&) override { step_counts_.reset(); }
  KeptModel kept_model() override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  Dvae& tokenizer() { return *tokenizer_; }
  /// The temperature of the Gumbel-softmax.
  double temperature(const StepInfo& info) const;
  /// The weight of the KL divergence per cell, relative to the likelihood per pixel value.
  double kl_weight(const StepInfo& info) const;

 private:
  void count_tokens(const at::Tensor& logits);

  DvaeMethodOptions options_;
  DvaeNetworkOptions network_;
  ViewSpec view_;
  std::shared_ptr<Dvae> tokenizer_;
  at::Tensor token_counts_;  // [K], averaged
  at::Tensor step_counts_;
};

}  // namespace previt
