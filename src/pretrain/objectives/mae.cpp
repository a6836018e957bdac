#include "pretrain/objectives/mae.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/nn/modules/container/modulelist.h>

#include "error.h"
#include "models/layers/block.h"
#include "models/layers/init.h"
#include "models/layers/layer_norm.h"
#include "models/layers/linear.h"
#include "models/layers/pos_embed.h"
#include "models/vit_macs.h"
#include "pretrain/pictures/reconstruction_picture.h"
#include "pretrain/registry.h"
#include "pretrain/views/model_view.h"

namespace previt {
namespace {

constexpr uint64_t kPreviewSeed = 20220621;  // the same patches are masked in every preview

void check(const MaeMethodOptions& o, const VitOptions& model) {
  if (model.rel_pos_bias != RelPosBias::none) {
    fail_usage(
        "model.rel_pos_bias: mae shows the encoder a choice of patches, which have no relative "
        "positions; use none");
  }
  const int64_t kept = kept_patches(model.num_patches(), o.mask_ratio);
  if (kept == 0 || kept == model.num_patches()) {
    fail_usage("mae.mask_ratio: {} of {} patches leaves {} visible",
               o.mask_ratio,
               model.num_patches(),
               kept == 0 ? "none" : "all");
  }
  const MaeDecoderOptions& d = o.decoder;
  if (d.embed_dim % d.num_heads != 0) {
    fail_usage(
        "mae.decoder.embed_dim: {} is not a multiple of num_heads {}", d.embed_dim, d.num_heads);
  }
  if (d.pos_embed == DecoderPositions::sincos && d.embed_dim % 4 != 0) {
    fail_usage("mae.decoder.embed_dim: sin-cos positions need a multiple of 4, not {}",
               d.embed_dim);
  }
  if (!d.project && d.embed_dim != model.embed_dim) {
    fail_usage("mae.decoder.project: false needs mae.decoder.embed_dim = model.embed_dim");
  }
}

}  // namespace

void visit(FieldVisitor& v, MaeDecoderOptions& o) {
  v.field("embed_dim", o.embed_dim, "width", at_least(1));
  v.field("depth", o.depth, "blocks", between(1, 1000));
  v.field("num_heads", o.num_heads, "attention heads", at_least(1));
  v.field("mlp_ratio", o.mlp_ratio, "hidden width / width", above(0));
  v.field("pos_embed", o.pos_embed, "a fixed table (sincos) or learned");
  v.field("project", o.project, "a linear layer from the encoder's width");
  v.field("norm", o.norm, "LayerNorm before the prediction");
}

void visit(FieldVisitor& v, MaeMethodOptions& o) {
  v.field("mask_ratio", o.mask_ratio, "share of patches hidden from the encoder", inside(0, 1));
  v.field("norm_pix_loss", o.norm_pix_loss, "predict pixels normalised patch by patch");
  v.field("pixel_order", o.pixel_order, "of a predicted patch");
  v.field("init", o.init, "how linear layers start");
  v.section("decoder", o.decoder);
}

void visit(FieldVisitor& v, MaeOptions& o) {
  v.section("mae", o.mae);
  v.section("augment", o.augment);
}

void MaeOptions::set_defaults(RunOptions& run) {
  run.model.pos_embed = PosEmbed::sincos;
  run.model.pos_resize = ResizeConvention::mae;
}

// The authors' decoder always projects, has a norm, and predicts channels last.
void MaeOptions::lay_out(const NamedTensors& own, LoadedModel& model) const {
  model.format = "mae";
  model.config = {{"mask_ratio", mae.mask_ratio},
                  {"norm_pix_loss", mae.norm_pix_loss},
                  {"decoder_num_heads", mae.decoder.num_heads}};
  if (mae.pixel_order != PixelOrder::channel_last || !mae.decoder.project || !mae.decoder.norm) {
    return;
  }
  for (const auto& [name, tensor] : own) {
    if (name.starts_with("decoder_") || name == "mask_token") model.extra[name] = tensor;
  }
}

Mae::Mae(const MaeOptions& options, const RunOptions& run)
    : options_(options.mae),
      model_(resolve(run.model)),
      seed_(run.train.seed),
      view_(model_view(options.augment, model_)) {
  check(options_, model_);
  encoder_ = register_module("encoder", std::make_shared<Vit>(model_));
  add_decoder();
  init_weights();
}

void Mae::add_decoder() {
  const MaeDecoderOptions& d = options_.decoder;
  if (d.project) {
    decoder_embed_ =
        register_module("decoder_embed", std::make_shared<Linear>(model_.embed_dim, d.embed_dim));
  }
  mask_token_ = register_parameter("mask_token", torch::zeros({1, 1, d.embed_dim}));
  const int64_t tokens = model_.num_prefix_tokens() + model_.num_patches();
  decoder_pos_embed_ =
      register_parameter("decoder_pos_embed",
                         torch::zeros({1, tokens, d.embed_dim}),
                         /*requires_grad=*/d.pos_embed == DecoderPositions::learned);
  auto blocks = register_module("decoder_blocks", std::make_shared<torch::nn::ModuleListImpl>());
  for (int64_t i = 0; i < d.depth; ++i) {
    decoder_blocks_.push_back(std::make_shared<Block>(BlockOptions{.dim = d.embed_dim,
                                                                   .heads = d.num_heads,
                                                                   .mlp_ratio = d.mlp_ratio,
                                                                   .qkv_bias = model_.qkv_bias,
                                                                   .norm_eps = model_.norm_eps}));
    blocks->push_back(decoder_blocks_.back());
  }
  if (d.norm) {
    decoder_norm_ =
        register_module("decoder_norm", std::make_shared<LayerNorm>(d.embed_dim, model_.norm_eps));
  }
  const int64_t pixels = model_.patch_size * model_.patch_size * model_.in_channels;
  decoder_pred_ = register_module("decoder_pred", std::make_shared<Linear>(d.embed_dim, pixels));
}

void Mae::init_weights() {
  torch::NoGradGuard no_grad;
  encoder_->init_weights_mae();
  for (const auto& part : children()) {
    if (part != encoder_) init_linears_xavier(*part);
  }
  mask_token_.normal_(0, 0.02);
  if (options_.decoder.pos_embed == DecoderPositions::learned) {
    trunc_normal_(decoder_pos_embed_, 0.02);
  } else {
    decoder_pos_embed_.narrow(1, model_.num_prefix_tokens(), model_.num_patches())
        .copy_(sincos_positions(options_.decoder.embed_dim,
                                model_.grid_height(),
                                model_.grid_width(),
                                /*cls_row=*/false));
  }
  // Last, since it draws every linear layer anew, the encoder's too.
  if (options_.init == MaeInit::framework) init_linears_framework(*this);
}

// The fixed table need not be in a file.
InFiles Mae::in_files(const std::string& name) const {
  const bool table =
      name == "decoder_pos_embed" && options_.decoder.pos_embed == DecoderPositions::sincos;
  return {.part = "decoder", .names = {name}, .needed = !table};
}

// Decoders run at the sizes that the encoder does, so their positions are resized as its own.
at::Tensor Mae::fitted(const std::string& name,
                       const at::Tensor& tensor,
                       const VitOptions& source) const {
  const bool table = name == "decoder_pos_embed" && tensor.dim() == 3;
  if (!table || tensor.size(1) < source.num_patches()) return tensor;
  return resize_pos_embed(tensor.to(torch::kFloat32),
                          source.grid_height(),
                          source.grid_width(),
                          model_.grid_height(),
                          model_.grid_width(),
                          pos_resize(source.pos_resize));
}

RandomMask Mae::mask_of(const at::Tensor& noise) const {
  return random_mask(noise, options_.mask_ratio);
}

at::Tensor Mae::encode(const at::Tensor& images, const RandomMask& mask) {
  const at::Tensor visible = encoder_->embed_kept(images, mask.kept_ids());
  return encoder_->norm(encoder_->run_blocks(visible, model_.grid_height(), model_.grid_width()));
}

// [B, N + L, D]: prefix and visible patches from the encoder, then mask tokens, each at its own
// position. Attention doesn't depend on the order of tokens, so they need not go back to the
// image's.
at::Tensor Mae::decoder_tokens(const at::Tensor& latent, const RandomMask& mask) {
  const int64_t batch = latent.size(0), prefix = model_.num_prefix_tokens();
  const int64_t masked = mask.order.size(1) - mask.kept, width = mask_token_.size(2);
  const at::Tensor seen = decoder_embed_ ? decoder_embed_->forward(latent) : latent;
  const at::Tensor positions = decoder_pos_embed_[0];
  const at::Tensor of_patches = positions.narrow(0, prefix, positions.size(0) - prefix)
                                    .index_select(0, mask.order.flatten())
                                    .view({batch, mask.order.size(1), width});
  const at::Tensor of_prefix = positions.narrow(0, 0, prefix).expand({batch, prefix, width});
  return torch::cat({seen.to(torch::kFloat32), mask_token_.expand({batch, masked, width})}, 1) +
         torch::cat({of_prefix, of_patches}, 1);
}

// Runs the decoder; only tokens from `first_predicted` on are predicted, [B, N + L - first, P].
at::Tensor Mae::decode(at::Tensor tokens, int64_t first_predicted) {
  for (const auto& block : decoder_blocks_) {
    const bool last = block == decoder_blocks_.back();
    tokens = block->forward(tokens, {}, last ? first_predicted : 0);
  }
  return decoder_pred_->forward(decoder_norm_ ? decoder_norm_->forward(tokens) : tokens);
}

at::Tensor Mae::predict_masked(const at::Tensor& latent, const RandomMask& mask) {
  return decode(decoder_tokens(latent, mask), model_.num_prefix_tokens() + mask.kept);
}

at::Tensor Mae::predict_all(const at::Tensor& latent, const RandomMask& mask) {
  const at::Tensor shuffled = decode(decoder_tokens(latent, mask), model_.num_prefix_tokens());
  return gather_tokens(shuffled, mask.restore());
}

at::Tensor Mae::patches(const at::Tensor& images) const {
  return patchify(images, model_.patch_size, options_.pixel_order);
}

at::Tensor Mae::target(const at::Tensor& images) const {
  const at::Tensor pixels = patches(images);
  return options_.norm_pix_loss ? normalize_patches(pixels) : pixels;
}

at::Tensor Mae::loss(const at::Tensor& images, const RandomMask& mask) {
  const at::Tensor prediction = predict_masked(encode(images, mask), mask);
  const at::Tensor pixels = gather_tokens(patches(images), mask.masked_ids());
  return pixel_loss(prediction, options_.norm_pix_loss ? normalize_patches(pixels) : pixels);
}

std::vector<at::Tensor> Mae::draw(const Batch& batch) const {
  return {mask_noise(batch, model_.num_patches(), seed_)};
}

StepResult Mae::step(const Batch& batch, const StepInfo&) {
  const at::Tensor& images = only_view(batch, view_, "mae");
  return {loss(images, mask_of(drawn(batch).front())), {}};
}

double Mae::flops_per_image() const {
  const MaeDecoderOptions& d = options_.decoder;
  const int64_t prefix = model_.num_prefix_tokens(), patches = model_.num_patches();
  const int64_t kept = kept_patches(patches, options_.mask_ratio), masked = patches - kept;
  const int64_t pixels = decoder_pred_->weight.size(0), all = prefix + patches;
  const auto macs = [](int64_t a, int64_t b, int64_t c) { return static_cast<double>(a * b * c); };
  const double encoder = macs(kept, pixels, model_.embed_dim) +
                         static_cast<double>(model_.depth) * block_macs(prefix + kept,
                                                                        prefix + kept,
                                                                        model_.embed_dim,
                                                                        model_.mlp_ratio,
                                                                        model_.attention_width());
  const double decoder = (d.project ? macs(prefix + kept, model_.embed_dim, d.embed_dim) : 0) +
                         static_cast<double>(d.depth - 1) *
                             block_macs(all, all, d.embed_dim, d.mlp_ratio, d.embed_dim) +
                         block_macs(all, masked, d.embed_dim, d.mlp_ratio, d.embed_dim) +
                         macs(masked, d.embed_dim, pixels);
  return 6 * (encoder + decoder);  // two FLOPs each, and twice as many backward
}

std::optional<double> Mae::encoded_tokens_per_image() const {
  const int64_t kept = kept_patches(model_.num_patches(), options_.mask_ratio);
  return static_cast<double>(model_.num_prefix_tokens() + kept);
}

std::vector<Picture> Mae::previews(const Batch& batch, const NormalizeOptions& normalize) {
  const torch::NoGradGuard no_grad;
  const at::Tensor& images = batch.views.at(0);
  const at::Tensor noise = torch::rand({images.size(0), model_.num_patches()},
                                       at::make_generator<at::CPUGeneratorImpl>(kPreviewSeed));
  const RandomMask mask = mask_of(noise.to(images.device()));
  at::Tensor predicted = predict_all(encode(images, mask), mask).to(torch::kFloat32);
  const at::Tensor pixels = patches(images);
  if (options_.norm_pix_loss) {
    const PatchStatistics true_statistics = patch_statistics(pixels);
    predicted = predicted * true_statistics.deviation + true_statistics.mean;
  }
  const int64_t rows = model_.grid_height(), columns = model_.grid_width();
  return {reconstruction_picture(
      {.images = images,
       .predicted = unpatchify(predicted, rows, columns, model_.patch_size, options_.pixel_order),
       .hidden = mask.binary().view({-1, 1, rows, columns}),
       .note = options_.norm_pix_loss
                   ? "the model predicts normalised patches. for these pictures each predicted "
                     "patch got the mean and the deviation of the true one."
                   : "pixels as predicted."},
      normalize)};
}

void register_mae(ObjectiveRegistry& registry) { registry.add<Mae, MaeOptions>("mae"); }

}  // namespace previt
