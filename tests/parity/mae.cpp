#include "pretrain/objectives/mae.h"

#include "models/vit.h"
#include "parity/parity.h"

using namespace previt;

namespace {

std::shared_ptr<Mae> build(const parity::Fixture& fixture) {
  RunOptions run;
  MaeOptions::set_defaults(run);
  run.model.image_size = {fixture.integer("img_size")};
  run.model.patch_size = fixture.integer("patch_size");
  run.model.embed_dim = fixture.integer("embed_dim");
  run.model.depth = fixture.integer("depth");
  run.model.num_heads = fixture.integer("num_heads");
  run.model.mlp_ratio = fixture.number("mlp_ratio");
  run.model.norm_eps = fixture.number("ln_eps");
  MaeOptions options;
  options.mae.mask_ratio = fixture.number("mask_ratio");
  options.mae.norm_pix_loss = fixture.flag("norm_pix_loss");
  options.mae.decoder = {.embed_dim = fixture.integer("decoder_embed_dim"),
                         .depth = fixture.integer("decoder_depth"),
                         .num_heads = fixture.integer("decoder_num_heads"),
                         .mlp_ratio = fixture.number("mlp_ratio")};
  return std::make_shared<Mae>(options, run);
}

// Official names have no `encoder.` before the encoder's.
at::Tensor official(const Mae& mae, const std::string& name) {
  const auto parameters = mae.named_parameters();
  const at::Tensor* own = parameters.find(name);
  return own != nullptr ? *own : parameters["encoder." + name];
}

void load_official(Mae& mae, const NamedTensors& weights, parity::Check& check) {
  torch::NoGradGuard no_grad;
  check.that("number of parameters", weights.size() == mae.named_parameters().size());
  for (const auto& [name, tensor] : weights) official(mae, name).copy_(tensor);
}

void check_forward(const parity::Fixture& fixture, parity::Check& check) {
  const auto mae = build(fixture);
  load_official(*mae, fixture.group("weight."), check);
  const at::Tensor& images = fixture.at("input.imgs");
  const RandomMask mask = mae->mask_of(fixture.at("input.noise"));
  check.exact("ids_shuffle", mask.order, fixture.at("output.ids_shuffle"));
  check.exact("ids_restore", mask.restore(), fixture.at("output.ids_restore"));
  check.exact("mask", mask.binary(), fixture.at("output.mask"));

  const at::Tensor latent = mae->encode(images, mask);
  check.t1("latent", latent, fixture.at("output.latent"));
  const at::Tensor prediction = mae->predict_all(latent, mask);
  check.t1("pred", prediction, fixture.at("output.pred"));

  const int64_t patch = fixture.integer("patch_size"), side = images.size(2) / patch;
  check.exact(
      "patchify", patchify(images, patch, PixelOrder::channel_last), fixture.at("output.patchify"));
  check.t1("unpatchify_pred",
           unpatchify(prediction, side, side, patch, PixelOrder::channel_last),
           fixture.at("output.unpatchify_pred"));
  if (fixture.has("output.target_normalized")) {
    check.t1("target_normalized", mae->target(images), fixture.at("output.target_normalized"));
  }

  const at::Tensor loss = mae->loss(images, mask);
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  for (const auto& [name, gradient] : fixture.group("grad.")) {
    check.t2("grad." + name, official(*mae, name).grad(), gradient);
  }
}

}  // namespace

PARITY_CASE(mae_plain) { check_forward(fixture, check); }
PARITY_CASE(mae_normpix) { check_forward(fixture, check); }
