#include "pretrain/objectives/beit.h"

#include <torch/nn/modules/container/modulelist.h>

#include "error.h"
#include "models/layers/block.h"
#include "models/layers/drop_path.h"
#include "models/layers/init.h"
#include "models/layers/layer_norm.h"
#include "models/layers/linear.h"
#include "models/vit_macs.h"
#include "models/weights/weights.h"
#include "pretrain/pictures/token_picture.h"
#include "pretrain/registry.h"
#include "pretrain/tokenizer_choice.h"
#include "pretrain/views/model_view.h"

namespace previt {
namespace {

// Share of the masked patches with one token from which on a tokenizer says nothing.
constexpr double kOneToken = 0.8;

void check(const BeitMethodOptions& o, const VitOptions& model, const Tokenizer& tokenizer) {
  if (tokenizer.grid_height() != model.grid_height() ||
      tokenizer.grid_width() != model.grid_width()) {
    fail_usage("beit.tokenizer: {} makes {} x {} tokens of an image, the model has {} x {} patches",
               o.tokenizer,
               tokenizer.grid_height(),
               tokenizer.grid_width(),
               model.grid_height(),
               model.grid_width());
  }
  if (o.masked_patches > model.num_patches()) {
    fail_usage("beit.masked_patches: {} of {} patches", o.masked_patches, model.num_patches());
  }
  if (model.pool != Pooling::cls) {
    fail_usage("model.pool: beit predicts from tokens after the final norm; use cls");
  }
  const BeitClsHeadOptions& head = o.cls_head;
  if (head.layers == 0) return;
  if (head.early_layers >= model.depth) {
    fail_usage("beit.cls_head.early_layers: {} is not below model.depth {}",
               head.early_layers,
               model.depth);
  }
  if (model.rel_pos_bias == RelPosBias::per_block || model.rel_pos_bias == RelPosBias::both) {
    fail_usage(
        "model.rel_pos_bias: beit.cls_head's blocks take part in shared, and have no table "
        "of their own");
  }
}

}  // namespace

void visit(FieldVisitor& v, BeitClsHeadOptions& o) {
  v.field("layers", o.layers, "extra blocks of BEiT v2; 0: none", between(0, 100));
  v.field("early_layers", o.early_layers, "blocks before the patches that they see", at_least(1));
  v.field("shared_lm_head", o.shared_lm_head, "norm and lm_head serve both predictions");
}

void visit(FieldVisitor& v, BeitMethodOptions& o) {
  v.field("tokenizer",
          o.tokenizer,
          "run of train_tokenizer, or colors:8192 (how many tokens) to try without one");
  v.field(
      "tokenizer_interpolation", o.tokenizer_interpolation, "of the tokenizer's view of the crop");
  v.field("tokens", o.tokens, "file of cache_tokens, where augment draws nothing; \"\": made anew");
  v.field("masked_patches",
          o.masked_patches,
          "patches that are masked, at most, of each image",
          at_least(1));
  v.section("block", o.block);
  v.section("cls_head", o.cls_head);
}

void visit(FieldVisitor& v, BeitOptions& o) {
  v.section("beit", o.beit);
  v.section("augment", o.augment);
}

void BeitOptions::set_defaults(RunOptions& run) {
  run.model.pos_embed = PosEmbed::none;
  run.model.pos_resize = ResizeConvention::mae;
  run.model.rel_pos_bias = RelPosBias::shared;
  run.model.qkv_bias = QkvBias::qv;
  run.model.layer_scale = 0.1;
  run.model.drop_path = 0.1;
  run.optimizer.base_lr = 1.5e-3;
  run.optimizer.base_batch = 0;  // the official rate is absolute
  run.optimizer.betas = {0.9, 0.999};
  run.optimizer.clip_grad = 3;
  run.schedule.kind = ScheduleKind::table;
  run.schedule.warmup_epochs = 10;
  run.schedule.min_lr = 1e-5;
  run.train.batch = 2048;
}

void BeitOptions::lay_out(const NamedTensors& own, LoadedModel& model) const {
  model.format = "beit";
  model.extra = own;
  std::erase_if(model.extra, [](const auto& item) { return item.first.starts_with("encoder."); });
}

Beit::Beit(const BeitOptions& options,
           const RunOptions& run,
           std::shared_ptr<Tokenizer> tokenizer,
           const TensorFileOpener& open)
    : options_(options.beit),
      model_(resolve(run.model)),
      seed_(run.train.seed),
      targets_(tokenizer ? std::move(tokenizer) : choose_tokenizer(options_.tokenizer, model_),
               model_view(options.augment, model_),
               options_.tokenizer_interpolation,
               run.normalize),
      token_counts_(targets_.tokenizer().vocab_size()) {
  check(options_, model_, targets_.tokenizer());
  if (!options_.tokens.empty()) targets_.read_cache(options_.tokens, open);
  encoder_ = register_module("encoder", std::make_shared<Vit>(model_));
  mask_token_ = register_parameter("mask_token", torch::zeros({1, 1, model_.embed_dim}));
  lm_head_ = register_module(
      "lm_head", std::make_shared<Linear>(model_.embed_dim, targets_.tokenizer().vocab_size()));
  add_cls_head();
  init_weights();
}

void Beit::add_cls_head() {
  const BeitClsHeadOptions& head = options_.cls_head;
  if (head.layers == 0) return;
  const int64_t last = head.early_layers + head.layers;
  const auto rates =
      drop_path_rates(model_.drop_path, model_.drop_path_mode, std::max(model_.depth, last));
  auto list = register_module("cls_pt_layers", std::make_shared<torch::nn::ModuleListImpl>());
  for (int64_t i = head.early_layers; i < last; ++i) {
    cls_layers_.push_back(
        std::make_shared<Block>(BlockOptions{.dim = model_.embed_dim,
                                             .heads = model_.num_heads,
                                             .attention_dim = model_.attention_dim,
                                             .mlp_ratio = model_.mlp_ratio,
                                             .mlp = model_.mlp,
                                             .qkv_bias = model_.qkv_bias,
                                             .layer_scale = model_.layer_scale,
                                             .drop_path = rates[static_cast<size_t>(i)],
                                             .norm_eps = model_.norm_eps}));
    list->push_back(cls_layers_.back());
  }
  if (head.shared_lm_head) return;
  cls_norm_ = register_module("cls_pt_norm",
                              std::make_shared<LayerNorm>(model_.embed_dim, model_.norm_eps));
  cls_lm_head_ = register_module(
      "cls_pt_lm_head",
      std::make_shared<Linear>(model_.embed_dim, targets_.tokenizer().vocab_size()));
}

void Beit::init_weights() {
  encoder_->init_weights_beit();
  trunc_normal_(mask_token_, kBeitInitStd, kBeitInitStd);
  init_linears_trunc_normal(*lm_head_, kBeitInitStd, kBeitInitStd);
  if (cls_lm_head_) init_linears_trunc_normal(*cls_lm_head_, kBeitInitStd, kBeitInitStd);
  // The authors make these blocks after their initialisation, so they start with PyTorch's weights.
  int64_t layer = options_.cls_head.early_layers;
  for (const auto& block : cls_layers_) {
    init_linears_framework(*block);
    rescale_block_(*block, ++layer);
  }
}

Settings Beit::frozen_parts() const {
  return {{"checksum of beit.tokenizer", weights_checksum(targets_.tokenizer())}};
}

void Beit::check_views(const Batch& batch) const {
  require(batch.views.size() == views().size(),
          "beit: takes {} views of each image, not {}",
          views().size(),
          batch.views.size());
}

at::Tensor Beit::mask_of(const Batch& batch) const {
  return block_masks(batch,
                     model_.grid_height(),
                     model_.grid_width(),
                     static_cast<double>(options_.masked_patches),
                     options_.block,
                     seed_);
}

at::Tensor Beit::encode(const at::Tensor& images, const PatchMask& mask) {
  const at::Tensor tokens = encoder_->embed(images, mask.masked, mask_token_);
  return encoder_->norm(encoder_->run_blocks(tokens, model_.grid_height(), model_.grid_width()));
}

at::Tensor Beit::predict_all(const at::Tensor& normed_tokens) {
  return lm_head_->forward(normed_tokens.slice(1, model_.num_prefix_tokens()));
}

Beit::Prediction Beit::predict(const at::Tensor& images, const PatchMask& mask) {
  const auto& blocks = encoder_->blocks();
  const auto biases = encoder_->attention_biases({model_.grid_height(), model_.grid_width()});
  at::Tensor tokens = encoder_->embed(images, mask.masked, mask_token_), early;
  for (size_t i = 0; i + 1 < blocks.size(); ++i) {
    tokens = blocks[i]->forward(tokens, biases[i]);
    if (static_cast<int64_t>(i) + 1 == options_.cls_head.early_layers) early = tokens;
  }
  const int64_t batch = tokens.size(0), masked = mask.count();
  at::Tensor rows = mask.token_rows(model_.num_prefix_tokens());
  if (!cls_layers_.empty()) {
    // The class tokens' rows come last, after those of the masked patches.
    const at::Tensor cls_rows = torch::arange(batch, rows.options()).mul_(tokens.size(1));
    rows = torch::cat({rows, cls_rows});
  }
  const at::Tensor last = blocks.back()->forward_rows(tokens, biases.back(), rows);
  const at::Tensor main = lm_head_->forward(encoder_->norm(last.narrow(0, 0, masked)));
  if (cls_layers_.empty()) return {main, {}};
  return {main, predict_from_cls(last.narrow(0, masked, batch), early, mask)};
}

// cls [B, D] of the last block, early [B, N, D].
at::Tensor Beit::predict_from_cls(const at::Tensor& cls,
                                  const at::Tensor& early,
                                  const PatchMask& mask) {
  const auto biases = encoder_->attention_biases({model_.grid_height(), model_.grid_width()});
  at::Tensor tokens = torch::cat({cls.unsqueeze(1), early.slice(1, 1)}, 1);
  for (const auto& block : cls_layers_) {
    tokens = block == cls_layers_.back()
                 ? block->forward_rows(
                       tokens, biases.back(), mask.token_rows(model_.num_prefix_tokens()))
                 : block->forward(tokens, biases.back());
  }
  return cls_lm_head_ ? cls_lm_head_->forward(cls_norm_->forward(tokens))
                      : lm_head_->forward(encoder_->norm(tokens));
}

StepResult Beit::loss(const at::Tensor& images, const PatchMask& mask, const at::Tensor& tokens) {
  require(mask.count() > 0, "beit: no block fits the grid; lower beit.block.min_patches");
  const Prediction logits = predict(images, mask);
  const at::Tensor wanted = mask.select(tokens);
  StepResult result{token_loss(logits.main, wanted),
                    {{"masked_accuracy", token_accuracy(logits.main, wanted)}},
                    static_cast<double>(mask.count())};
  if (!logits.cls.defined()) return result;
  const at::Tensor of_cls = token_loss(logits.cls, wanted);
  result.metrics.emplace_back("cls_accuracy", token_accuracy(logits.cls, wanted));
  result.metrics.emplace_back("main_loss", result.loss.detach());
  result.metrics.emplace_back("cls_loss", of_cls.detach());
  result.loss = result.loss + of_cls;
  return result;
}

StepResult Beit::step(const Batch& batch, const StepInfo& info) {
  check_views(batch);
  const std::vector<at::Tensor> own = drawn(batch);
  const PatchMask mask(own.front(), batch.views.front().size(0), model_.num_patches());
  const at::Tensor tokens =
      targets_.are_kept() ? targets_.checked(batch, own.back()) : targets_.tokens_of(batch);
  StepResult result = loss(batch.views.front(), mask, tokens);
  if (info.first_here()) token_counts_.reset();
  token_counts_.add(mask.select(tokens));
  if (info.last_here()) result.metrics.emplace_back("top_token", token_counts_.top_share());
  return result;
}

double Beit::flops_per_image() const {
  const int64_t patches = model_.num_patches(), tokens = patches + model_.num_prefix_tokens();
  const int64_t masked = options_.masked_patches, extra = options_.cls_head.layers;
  const auto head =
      static_cast<double>(masked * model_.embed_dim * targets_.tokenizer().vocab_size());
  const double blocks =
      static_cast<double>(extra) *
      block_macs(tokens, tokens, model_.embed_dim, model_.mlp_ratio, model_.attention_width());
  return 6 * (blocks_rows_macs(model_, masked) + blocks + (extra > 0 ? 2 : 1) * head);
}

std::vector<Picture> Beit::previews(const Batch& batch, const NormalizeOptions& normalize) {
  const torch::NoGradGuard no_grad;
  const at::Tensor& images = batch.views.at(0);
  const PatchMask mask(mask_of(batch), images.device());
  const at::Tensor predicted = predict_all(encode(images, mask)).argmax(-1);
  return {
      masked_token_picture(images, mask.masked, targets_.tokens_of(batch), predicted, normalize)};
}

std::string Beit::diagnose(const std::map<std::string, double>& means, const StepInfo&) const {
  const auto share = means.find("top_token");
  if (share == means.end() || share->second < kOneToken) return "";
  return fmt::format(
      "the tokenizer gives {:.0f}% of the masked patches one token, so there is little to learn; "
      "train it longer, or check that beit.tokenizer fits these images",
      100 * share->second);
}

void register_beit(ObjectiveRegistry& registry) { registry.add<Beit, BeitOptions>("beit"); }

}  // namespace previt
