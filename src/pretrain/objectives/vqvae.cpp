#include "pretrain/objectives/vqvae.h"

#include "pretrain/codebook_collapse.h"
#include "pretrain/pictures/token_picture.h"
#include "pretrain/registry.h"
#include "pretrain/views/model_view.h"

namespace previt {

void visit(FieldVisitor& v, VqvaeMethodOptions& o) {
  v.section("network", o.network);
  v.section("codebook", o.codebook);
}

void visit(FieldVisitor& v, VqvaeOptions& o) {
  v.section("vqvae", o.vqvae);
  v.section("augment", o.augment);
}

void VqvaeOptions::set_defaults(RunOptions& run) {
  run.optimizer.base_lr = 5e-4;
  run.optimizer.betas = {0.9, 0.99};
  run.optimizer.weight_decay = 1e-4;
  run.schedule.kind = ScheduleKind::table;
  run.schedule.warmup_epochs = 1;
  run.train.epochs = 100;
}

VqvaeTraining::VqvaeTraining(const VqvaeOptions& options, const RunOptions& run)
    : network_{.image = image_grid(run.model),
               .network = options.vqvae.network,
               .codebook = options.vqvae.codebook},
      view_(model_view(options.augment, run.model)),
      seed_(static_cast<uint64_t>(run.train.seed)),
      tokenizer_(register_module("tokenizer", std::make_shared<Vqvae>(network_))) {}

StepResult VqvaeTraining::step(const Batch& batch, const StepInfo& info) {
  const at::Tensor& pixels = only_view(batch, view_, "vqvae");
  VectorQuantizer& quantizer = tokenizer_->quantizer();
  if (info.first_here()) quantizer.forget();
  const Quantized quantized = quantizer.forward(tokenizer_->encode(pixels));
  quantizer.collect(quantized);
  const at::Tensor error = torch::mse_loss(tokenizer_->decode(quantized.values), pixels);
  const double decay = network_.codebook.decay;
  return {4 * error + quantized.commitment,  // pixels in [-1, 1] have twice the range
          {{"reconstruction_error", error.detach()},
           {"commitment", quantized.commitment.detach()},
           {"code_usage", code_usage(quantizer.cluster_size, decay)},
           {"code_perplexity", code_perplexity(quantizer.cluster_size)}}};
}

void VqvaeTraining::after_optimizer_step(const StepInfo& info) {
  tokenizer_->quantizer().update(seed_, info.step);
}

KeptModel VqvaeTraining::kept_model() { return {tokenizer_, describe_tokenizer<Vqvae>(network_)}; }

std::vector<Picture> VqvaeTraining::previews(const Batch& batch, const NormalizeOptions&) {
  const torch::NoGradGuard no_grad;
  const at::Tensor& pixels = batch.views.at(0);
  const Quantized quantized = tokenizer_->quantizer().forward(tokenizer_->encode(pixels));
  return {token_picture(*tokenizer_, pixels, tokenizer_->decode(quantized.values))};
}

std::string VqvaeTraining::diagnose(const std::map<std::string, double>& means,
                                    const StepInfo& info) const {
  if (info.step <= 1) return "";  // the first step had no codes to use
  return describe_codebook_collapse(
      means,
      "use fewer (vqvae.codebook.codes), restart unused ones "
      "(vqvae.codebook.revive_below: 0.05) or lower optimizer.base_lr");
}

void register_vqvae(ObjectiveRegistry& registry) {
  registry.add<VqvaeTraining, VqvaeOptions>("vqvae");
}

}  // namespace previt
