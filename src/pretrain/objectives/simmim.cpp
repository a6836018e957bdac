#include "pretrain/objectives/simmim.h"

#include <cmath>

#include "error.h"
#include "models/layers/init.h"
#include "models/layers/linear.h"
#include "models/vit_macs.h"
#include "pretrain/losses/masked_pixels.h"
#include "pretrain/masks/random_masking.h"
#include "pretrain/pictures/reconstruction_picture.h"
#include "pretrain/pictures/upsample_nearest.h"
#include "pretrain/registry.h"
#include "pretrain/views/model_view.h"

namespace previt {
namespace {

// How many of all units are masked: rounded up.
int64_t masked_units(int64_t units, double ratio) {
  return static_cast<int64_t>(std::ceil(static_cast<double>(units) * ratio));
}

void check(const SimMimMethodOptions& o, const VitOptions& model) {
  if (o.mask_unit % model.patch_size != 0 || model.image_height() % o.mask_unit != 0 ||
      model.image_width() % o.mask_unit != 0) {
    fail_usage(
        "simmim.mask_unit: {} is not a multiple of model.patch_size {} that divides "
        "model.image_size {} x {}",
        o.mask_unit,
        model.patch_size,
        model.image_height(),
        model.image_width());
  }
}

}  // namespace

void visit(FieldVisitor& v, SimMimMethodOptions& o) {
  v.field("mask_unit", o.mask_unit, "pixels: side of the squares that are masked", at_least(1));
  v.field("mask_ratio", o.mask_ratio, "share of them", inside(0, 1));
}

SimMimOptions::SimMimOptions() {
  augment.height = augment.width = 0;  // as model.image_size
  augment.scale = {0.67, 1.0};
  augment.interpolation = Interpolation::bilinear;
}

void visit(FieldVisitor& v, SimMimOptions& o) {
  v.section("simmim", o.simmim);
  v.section("augment", o.augment);
}

void SimMimOptions::set_defaults(RunOptions& run) {
  run.model.pos_embed = PosEmbed::none;
  run.model.pos_resize = ResizeConvention::mae;
  run.model.rel_pos_bias = RelPosBias::shared;
  run.model.qkv_bias = QkvBias::qv;
  run.model.layer_scale = 0.1;
  run.model.drop_path = 0.1;
  run.optimizer.base_lr = 1e-4;
  run.optimizer.base_batch = 512;
  run.optimizer.betas = {0.9, 0.999};
  run.optimizer.clip_grad = 5;
  run.schedule.kind = ScheduleKind::steps;
  run.schedule.decay_epochs = {700};
  run.schedule.warmup_epochs = 10;
  run.schedule.warmup_lr = 2e-6;  // officially 5e-7 per 512 images
  run.train.batch = 2048;
}

// Its own layout is BEiT's under other names, which its scripts read too.
void SimMimOptions::lay_out(const NamedTensors& own, LoadedModel& model) const {
  model.format = "beit";
  for (const auto& [name, tensor] : own) {
    if (name == "mask_token") model.extra[name] = tensor;
    if (name == "decoder.bias") model.extra["decoder.0.bias"] = tensor;
    if (name != "decoder.weight") continue;
    model.extra["decoder.0.weight"] = tensor.unsqueeze(-1).unsqueeze(-1);  // a 1 x 1 convolution
  }
}

SimMim::SimMim(const SimMimOptions& options, const RunOptions& run)
    : options_(options.simmim),
      model_(resolve(run.model)),
      seed_(run.train.seed),
      view_(model_view(options.augment, model_)) {
  check(options_, model_);
  encoder_ = register_module("encoder", std::make_shared<Vit>(model_));
  encoder_->init_weights_beit();
  mask_token_ = register_parameter("mask_token", torch::zeros({1, 1, model_.embed_dim}));
  trunc_normal_(mask_token_, kBeitInitStd, kBeitInitStd);
  const int64_t pixels = model_.patch_size * model_.patch_size * model_.in_channels;
  decoder_ = register_module("decoder", std::make_shared<Linear>(model_.embed_dim, pixels));
  // Officially the decoder is a 1 × 1 convolution, and starts as PyTorch's do.
  conv_default_(decoder_->weight, decoder_->bias);
}

// The official decoder is the first of two layers.
InFiles SimMim::in_files(const std::string& name) const {
  InFiles in = Objective::in_files(name);
  if (in.part == "decoder") in.names.push_back("decoder.0" + name.substr(in.part.size()));
  return in;
}

ParamRules SimMim::param_rules() const {
  return decay_matrices_except({"encoder.pos_embed", "encoder.cls_token"});
}

at::Tensor SimMim::mask_of(const Batch& batch) const {
  const int64_t rows = model_.image_height() / options_.mask_unit;
  const int64_t columns = model_.image_width() / options_.mask_unit;
  const int64_t units = rows * columns, masked = masked_units(units, options_.mask_ratio);
  const at::Tensor order = mask_noise(batch, units, seed_).argsort(/*stable=*/true, 1);
  const RandomMask mask{order, units - masked};
  const at::Tensor cells = mask.binary().view({-1, 1, rows, columns});
  return upsample_nearest(cells, model_.grid_height(), model_.grid_width()).flatten(1) > 0;
}

at::Tensor SimMim::encode(const at::Tensor& images, const PatchMask& mask) {
  const at::Tensor tokens = encoder_->embed(images, mask.masked, mask_token_);
  return encoder_->norm(encoder_->run_blocks(tokens, model_.grid_height(), model_.grid_width()))
      .slice(1, model_.num_prefix_tokens());
}

at::Tensor SimMim::predict_all(const at::Tensor& images, const PatchMask& mask) {
  return decoder_->forward(encode(images, mask));
}

at::Tensor SimMim::loss(const at::Tensor& images, const PatchMask& mask) {
  const at::Tensor tokens = encoder_->embed(images, mask.masked, mask_token_);
  const at::Tensor rows = encoder_->run_blocks_rows(tokens,
                                                    model_.grid_height(),
                                                    model_.grid_width(),
                                                    mask.token_rows(model_.num_prefix_tokens()));
  const at::Tensor predicted = decoder_->forward(encoder_->norm(rows));
  const at::Tensor pixels = patchify(images, model_.patch_size, PixelOrder::channel_first);
  return absolute_pixel_loss(predicted, mask.select(pixels), model_.in_channels);
}

std::vector<at::Tensor> SimMim::draw(const Batch& batch) const {
  return {masked_patches(mask_of(batch))};
}

StepResult SimMim::step(const Batch& batch, const StepInfo&) {
  require(
      batch.views.size() == 1, "simmim: takes 1 view of each image, not {}", batch.views.size());
  const at::Tensor& images = batch.views.front();
  const PatchMask mask(drawn(batch).front(), images.size(0), model_.num_patches());
  return {loss(images, mask), {}};
}

double SimMim::flops_per_image() const {
  const int64_t units =
      model_.image_height() * model_.image_width() / options_.mask_unit / options_.mask_unit;
  const int64_t per_unit = model_.num_patches() / units;
  const int64_t masked = masked_units(units, options_.mask_ratio) * per_unit;
  return 6 * (blocks_rows_macs(model_, masked) +
              static_cast<double>(masked * model_.embed_dim * decoder_->weight.size(0)));
}

std::optional<double> SimMim::encoded_tokens_per_image() const {
  return static_cast<double>(model_.num_prefix_tokens() + model_.num_patches());
}

std::vector<Picture> SimMim::previews(const Batch& batch, const NormalizeOptions& normalize) {
  const torch::NoGradGuard no_grad;
  const at::Tensor& images = batch.views.at(0);
  const PatchMask mask(mask_of(batch), images.device());
  const int64_t rows = model_.grid_height(), columns = model_.grid_width();
  const at::Tensor predicted = predict_all(images, mask).to(torch::kFloat32);
  return {reconstruction_picture(
      {.images = images,
       .predicted =
           unpatchify(predicted, rows, columns, model_.patch_size, PixelOrder::channel_first),
       .hidden = mask.masked.to(torch::kFloat32).view({-1, 1, rows, columns}),
       .note = "pixels as predicted."},
      normalize)};
}

void register_simmim(ObjectiveRegistry& registry) { registry.add<SimMim, SimMimOptions>("simmim"); }

}  // namespace previt
