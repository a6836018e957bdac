#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/tokenizers/vqvae.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// The section `vqvae:` of a recipe.
struct VqvaeMethodOptions {
  ConvOptions network{.width = 128, .blocks = 2};
  CodebookOptions codebook = VqvaeNetworkOptions().codebook;
};
void visit(FieldVisitor& v, VqvaeMethodOptions& o);

/// The sections `vqvae:` and `augment:` of a recipe. Of `model` it uses image_size, patch_size (a
/// power of two) and in_channels.
struct VqvaeOptions {
  VqvaeMethodOptions vqvae;
  /// A size of 0: as model.image_size.
  ViewSpec augment{.height = 0, .width = 0, .pixels = PixelScale::kPlain};

  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, VqvaeOptions& o);

/// Trains an image tokenizer from pixels (van den Oord et al. 2017). The loss is the squared error
/// of pixels scaled to [-1, 1], and the commitment of latents to their codes.
class VqvaeTraining final : public Objective {
 public:
  VqvaeTraining(const VqvaeOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override { return {view_}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  void after_optimizer_step(const StepInfo& info) override;
  void skipped_optimizer_step(const StepInfo&) override { tokenizer_->quantizer().forget(); }
  KeptModel kept_model() override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  Vqvae& tokenizer() { return *tokenizer_; }

 private:
  VqvaeNetworkOptions network_;
  ViewSpec view_;
  uint64_t seed_;
  std::shared_ptr<Vqvae> tokenizer_;
};

}  // namespace previt
