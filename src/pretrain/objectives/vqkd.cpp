#include "pretrain/objectives/vqkd.h"

#include "error.h"
#include "models/layers/unit_length.h"
#include "models/vit_macs.h"
#include "models/weights/weights.h"
#include "pretrain/codebook_collapse.h"
#include "pretrain/pictures/token_picture.h"
#include "pretrain/registry.h"
#include "pretrain/views/model_view.h"

namespace previt {
namespace {

std::shared_ptr<FeatureTarget> load_teacher(const VqkdMethodOptions& o) {
  if (o.teacher.empty()) {
    fail_usage("vqkd.teacher: give a checkpoint whose features are to be predicted");
  }
  return std::make_shared<FeatureTarget>(o.teacher, o.teacher_heads);
}

}  // namespace

void visit(FieldVisitor& v, VqkdMethodOptions& o) {
  v.field("teacher", o.teacher, "checkpoint whose features are predicted");
  v.field(
      "teacher_heads", o.teacher_heads, "attention heads, for files that do not say", at_least(0));
  v.field("decoder_depth", o.decoder_depth, "blocks, as wide as the encoder's", between(1, 1000));
  v.section("codebook", o.codebook);
}

void visit(FieldVisitor& v, VqkdOptions& o) {
  v.section("vqkd", o.vqkd);
  v.section("augment", o.augment);
}

void VqkdOptions::set_defaults(RunOptions& run) {
  run.model.qkv_bias = QkvBias::qv;
  run.model.pos_resize = ResizeConvention::mae;
  run.optimizer.base_lr = 5e-5;
  run.optimizer.base_batch = 128;
  run.optimizer.betas = {0.9, 0.99};
  run.optimizer.weight_decay = 1e-4;
  run.schedule.kind = ScheduleKind::table;
  run.schedule.warmup_epochs = 10;
  run.schedule.min_lr = 1e-5;
  run.train.epochs = 100;
  run.train.batch = 512;
}

at::Tensor cosine_loss(const at::Tensor& predicted, const at::Tensor& wanted) {
  return 1 - (unit_length(predicted) * unit_length(wanted)).sum(-1).mean();
}

VqkdTraining::VqkdTraining(const VqkdOptions& options, const RunOptions& run)
    : view_(model_view(options.augment, run.model)),
      seed_(static_cast<uint64_t>(run.train.seed)),
      teacher_(load_teacher(options.vqkd)) {
  network_ = {.encoder = resolve(run.model),
              .decoder_depth = options.vqkd.decoder_depth,
              .teacher_dim = teacher_->dim(),
              .codebook = options.vqkd.codebook};
  tokenizer_ = register_module("tokenizer", std::make_shared<Vqkd>(network_));
}

StepResult VqkdTraining::step(const Batch& batch, const StepInfo& info) {
  const at::Tensor& pixels = only_view(batch, view_, "vqkd");
  VectorQuantizer& quantizer = tokenizer_->quantizer();
  if (info.first_here()) quantizer.forget();
  // It isn't registered, so it doesn't move to the device with the rest.
  if (teacher_on_ != pixels.device()) teacher_->to(pixels.device());
  teacher_on_ = pixels.device();
  const at::Tensor wanted =
      teacher_->features(pixels, tokenizer_->grid_height(), tokenizer_->grid_width());
  const Quantized quantized = quantizer.forward(tokenizer_->encode(pixels));
  quantizer.collect(quantized);
  const at::Tensor error = cosine_loss(tokenizer_->decode(quantized.values), wanted);
  return {error + quantized.commitment,
          {{"reconstruction_error", error.detach()},
           {"commitment", quantized.commitment.detach()},
           {"code_usage", code_usage(quantizer.cluster_size, network_.codebook.decay)},
           {"code_perplexity", code_perplexity(quantizer.cluster_size)}}};
}

void VqkdTraining::after_optimizer_step(const StepInfo& info) {
  tokenizer_->quantizer().update(seed_, info.step);
}

Settings VqkdTraining::frozen_parts() const {
  return {{"checksum of vqkd.teacher", weights_checksum(*teacher_)}};
}

std::vector<StartingBackbone> VqkdTraining::starting_backbones() {
  return {{"", &tokenizer_->encoder()}};
}

KeptModel VqkdTraining::kept_model() { return {tokenizer_, describe_tokenizer<Vqkd>(network_)}; }

ParamRules VqkdTraining::param_rules() const {
  return decay_matrices_except({"tokenizer.encoder.cls_token",
                                "tokenizer.encoder.pos_embed",
                                "tokenizer.decoder.cls_token",
                                "tokenizer.decoder.pos_embed"});
}

double VqkdTraining::flops_per_image() const {
  const VitOptions& o = network_.encoder;
  const int64_t cells = o.num_patches(), tokens = cells + o.num_prefix_tokens();
  const auto blocks = static_cast<double>(o.depth + network_.decoder_depth);
  const int64_t pixels = o.patch_size * o.patch_size * o.in_channels;
  const int64_t rows = pixels + 2 * o.embed_dim + 2 * network_.codebook.dim + network_.teacher_dim;
  const double trained =
      blocks * block_macs(tokens, tokens, o.embed_dim, o.mlp_ratio, o.attention_width()) +
      static_cast<double>(cells * rows * o.embed_dim);
  const double looked_up =
      static_cast<double>(cells * network_.codebook.codes * network_.codebook.dim);
  return 6 * trained +
         2 * (looked_up + teacher_->macs(tokenizer_->grid_height(), tokenizer_->grid_width()));
}

std::vector<Picture> VqkdTraining::previews(const Batch& batch, const NormalizeOptions&) {
  return {token_picture(*tokenizer_, batch.views.at(0))};
}

std::string VqkdTraining::diagnose(const std::map<std::string, double>& means,
                                   const StepInfo& info) const {
  if (info.step <= 1) return "";  // the first step had no codes to use
  return describe_codebook_collapse(means,
                                    "use fewer (vqkd.codebook.codes), a shallower decoder "
                                    "(vqkd.decoder_depth: 1) or restart unused ones "
                                    "(vqkd.codebook.revive_below: 0.05)");
}

void register_vqkd(ObjectiveRegistry& registry) { registry.add<VqkdTraining, VqkdOptions>("vqkd"); }

}  // namespace previt
