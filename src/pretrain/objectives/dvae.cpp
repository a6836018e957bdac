#include "pretrain/objectives/dvae.h"

#include <numbers>

#include "models/tokenizers/kmeans.h"
#include "models/tokenizers/vector_quantizer.h"
#include "pretrain/codebook_collapse.h"
#include "pretrain/losses/dvae_loss.h"
#include "pretrain/pictures/token_picture.h"
#include "pretrain/registry.h"
#include "pretrain/views/model_view.h"

namespace previt {
namespace {

// From `start` to `end` along half a cosine over so many epochs, then `end`.
double annealed(double start, double end, double epochs, const StepInfo& info) {
  if (info.epoch() >= epochs) return end;
  return end + (start - end) * (1 + std::cos(std::numbers::pi * info.epoch() / epochs)) / 2;
}

}  // namespace

void visit(FieldVisitor& v, DvaeMethodOptions& o) {
  v.field("vocabulary", o.vocabulary, "size of the codebook", between(2, 1 << 20));
  v.section("network", o.network);
  v.field("temperature", o.temperature, "of the Gumbel-softmax at the first step", above(0));
  v.field("temperature_end", o.temperature_end, "reached by a cosine", above(0));
  v.field("temperature_epochs", o.temperature_epochs, "until temperature_end", at_least(0));
  v.field("kl_weight",
          o.kl_weight,
          "of the KL divergence from a uniform prior over the codes",
          at_least(0));
  v.field("kl_epochs", o.kl_epochs, "over which kl_weight rises from 0", at_least(0));
  v.field("usage_decay", o.usage_decay, "of the averaged token counts", inside(0, 1));
}

void visit(FieldVisitor& v, DvaeOptions& o) {
  v.section("dvae", o.dvae);
  v.section("augment", o.augment);
}

void DvaeOptions::set_defaults(RunOptions& run) {
  run.model.image_size = {112};
  run.model.patch_size = 8;
  run.optimizer.base_lr = 1e-4;
  run.optimizer.base_batch = 0;
  run.optimizer.betas = {0.9, 0.999};
  run.optimizer.weight_decay = 1e-4;
  run.schedule.kind = ScheduleKind::table;
  run.schedule.warmup_epochs = 0;
  run.schedule.min_lr = 1.25e-6;
  run.train.batch = 512;
  run.train.ema_decay = 0.999;
}

DvaeTraining::DvaeTraining(const DvaeOptions& options, const RunOptions& run)
    : options_(options.dvae),
      network_{.image = image_grid(run.model),
               .network = options_.network,
               .vocabulary = options_.vocabulary},
      view_(model_view(options.augment, run.model)),
      tokenizer_(register_module("tokenizer", std::make_shared<Dvae>(network_))),
      // Checkpoints hold them under this name.
      token_counts_(register_buffer("word_counts", torch::zeros({options_.vocabulary}))) {}

double DvaeTraining::temperature(const StepInfo& info) const {
  return annealed(
      options_.temperature, options_.temperature_end, options_.temperature_epochs, info);
}

double DvaeTraining::kl_weight(const StepInfo& info) const {
  const ImageGrid& image = network_.image;
  const int64_t cell_values = image.patch_size * image.patch_size * image.in_channels;
  return annealed(0, options_.kl_weight, options_.kl_epochs, info) /
         static_cast<double>(cell_values);
}

void DvaeTraining::count_tokens(const at::Tensor& logits) {
  const torch::NoGradGuard no_grad;
  const at::Tensor counts = counts_of(logits.argmax(1).flatten(), options_.vocabulary);
  step_counts_ = step_counts_.defined() ? step_counts_ + counts : counts;
}

StepResult DvaeTraining::step(const Batch& batch, const StepInfo& info) {
  const at::Tensor& pixels = only_view(batch, view_, "dvae");
  if (info.first_here()) step_counts_.reset();
  const at::Tensor logits = tokenizer_->logits(pixels);
  count_tokens(logits);
  const at::Tensor drawn = tokenizer_->decode(gumbel_softmax(logits, temperature(info)));
  const at::Tensor likelihood = logit_laplace_loss(pixels, drawn);
  const at::Tensor kl = kl_to_uniform(logits);
  const at::Tensor error = torch::mse_loss(logit_laplace_pixels(drawn.detach()), pixels);
  return {likelihood + kl_weight(info) * kl,
          {{"reconstruction_error", error},
           {"pixel_likelihood", -likelihood.detach()},
           {"kl_to_uniform", kl.detach()},
           {"temperature", torch::tensor(temperature(info))},
           {"code_usage", code_usage(token_counts_, options_.usage_decay)},
           {"code_perplexity", code_perplexity(token_counts_)}}};
}

void DvaeTraining::after_optimizer_step(const StepInfo&) {
  if (!step_counts_.defined()) return;
  world().sum(step_counts_);
  token_counts_.mul_(options_.usage_decay).add_(step_counts_, 1 - options_.usage_decay);
  step_counts_.reset();
}

KeptModel DvaeTraining::kept_model() { return {tokenizer_, describe_tokenizer<Dvae>(network_)}; }

std::vector<Picture> DvaeTraining::previews(const Batch& batch, const NormalizeOptions&) {
  const torch::NoGradGuard no_grad;
  const at::Tensor& pixels = batch.views.at(0);
  const at::Tensor weights = tokenizer_->one_hot(tokenizer_->tokens(pixels));
  return {token_picture(*tokenizer_, pixels, logit_laplace_pixels(tokenizer_->decode(weights)))};
}

std::string DvaeTraining::diagnose(const std::map<std::string, double>& means,
                                   const StepInfo& info) const {
  if (info.epoch() < options_.kl_epochs) return "";
  return describe_codebook_collapse(means,
                                    "use fewer (dvae.vocabulary), raise dvae.kl_weight or lengthen "
                                    "dvae.temperature_epochs");
}

void register_dvae(ObjectiveRegistry& registry) { registry.add<DvaeTraining, DvaeOptions>("dvae"); }

}  // namespace previt
