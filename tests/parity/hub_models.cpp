// Models as Hugging Face's and timm's hubs keep them: a folder with a configuration and weights.
#include "parity/configured_model.h"
#include "parity/mae_forward.h"
#include "parity/parity.h"

using namespace previt;
using namespace previt::parity;

namespace {

struct HubModel {
  NamedTensors want;
  LoadedModel model;
  std::shared_ptr<Vit> vit;
};

HubModel open_hub_model(const Fixture& fixture, Check& check) {
  const SafeTensors io = read_safetensors(fixture.path + "/io.safetensors");
  // Without the fixture's own configuration: all has to come from the folder's.
  LoadedModel model = load_model(fixture.path);
  auto vit = build(model, check);
  return {io.tensors, std::move(model), std::move(vit)};
}

// The states after the embedding and after each block, then the final norm.
void check_hidden_states(Vit& vit, const NamedTensors& want, Check& check) {
  const at::Tensor images = want.at("input.pixel_values");
  const auto states = vit.intermediate(images, vit.options().depth, /*normed=*/false);
  check.t1("hidden_state.0", vit.embed(images), want.at("output.hidden_state.0"));
  for (size_t i = 0; i < states.size(); ++i) {
    const std::string key = fmt::format("output.hidden_state.{}", i + 1);
    check.t1(key, states[i], want.at(key));
  }
  check.t1("last_hidden_state", vit.forward_features(images), want.at("output.last_hidden_state"));
  check.t1("last_hidden_state_interpolated",
           vit.forward_features(want.at("input.pixel_values_other")),
           want.at("output.last_hidden_state_interpolated"));
}

// All tokens after the final norm, with the masked patches replaced.
at::Tensor masked_features(Vit& vit, const LoadedModel& model, const NamedTensors& inputs) {
  const at::Tensor mask_token = model.extra.at("mask_token").reshape({1, 1, -1});
  const at::Tensor tokens = vit.embed(inputs.at("input.pixel_values"),
                                      inputs.at("input.bool_masked_pos").to(torch::kBool),
                                      mask_token);
  return vit.norm(vit.run_blocks(tokens, vit.options().grid_height(), vit.options().grid_width()));
}

}  // namespace

PARITY_CASE(hf_vit) {
  const auto [want, model, vit] = open_hub_model(fixture, check);
  check_hidden_states(*vit, want, check);
  const at::Tensor images = want.at("input.pixel_values");
  check.t1("attention_last", vit->attention(images), want.at("output.attention_last"));
  const at::Tensor pooled = torch::linear(vit->pooled(images),
                                          model.extra.at("pooler.dense.weight"),
                                          model.extra.at("pooler.dense.bias"));
  check.t1("pooler_output", pooled.tanh(), want.at("output.pooler_output"));
}

// The encoder; the kept patches come first in the order that ids_restore undoes.
PARITY_CASE(hf_vitmae) {
  const auto [want, model, vit] = open_hub_model(fixture, check);
  const at::Tensor latent = want.at("output.latent");
  const at::Tensor kept =
      want.at("output.ids_restore").argsort(1, false).slice(1, 0, latent.size(1) - 1);
  const at::Tensor tokens = vit->run_blocks(vit->embed_kept(want.at("input.pixel_values"), kept),
                                            vit->options().grid_height(),
                                            vit->options().grid_width());
  check.t1("latent", vit->norm(tokens), latent);
  check.that("decoder",
             model.extra.contains("decoder_blocks.0.attn.qkv.weight") &&
                 model.extra.contains("decoder_pos_embed") &&
                 model.extra.contains("decoder_pred.bias"));
  const auto& config = model.config;
  const int64_t width = config.at("decoder_hidden_size");
  const MaeForward whole{.images = want.at("input.pixel_values"),
                         .noise = want.at("input.noise"),
                         .mask = want.at("output.mask"),
                         .prediction = want.at("output.logits"),
                         .loss = want.at("output.loss")};
  whole.check(model,
              {.mask_ratio = config.at("mask_ratio"),
               .norm_pix_loss = config.at("norm_pix_loss"),
               .decoder = {.embed_dim = width,
                           .depth = config.at("decoder_num_hidden_layers"),
                           .num_heads = config.at("decoder_num_attention_heads"),
                           .mlp_ratio = config.at("decoder_intermediate_size").get<double>() /
                                        static_cast<double>(width)}},
              check);
}

PARITY_CASE(hf_dinov2) {
  const auto [want, model, vit] = open_hub_model(fixture, check);
  check_hidden_states(*vit, want, check);
  check.t1("last_hidden_state_masked",
           masked_features(*vit, model, want),
           want.at("output.last_hidden_state_masked"));
  check.t1(
      "pooler_output", vit->pooled(want.at("input.pixel_values")), want.at("output.pooler_output"));
}

PARITY_CASE(hf_beit) {
  const auto [want, model, vit] = open_hub_model(fixture, check);
  const at::Tensor patches = masked_features(*vit, model, want).slice(1, vit->num_prefix_tokens());
  const at::Tensor logits =
      torch::linear(patches, model.extra.at("lm_head.weight"), model.extra.at("lm_head.bias"));
  check.t1("logits", logits, want.at("output.logits"));
  const at::Tensor mask = want.at("input.bool_masked_pos").to(torch::kBool);
  check.t1(
      "loss",
      torch::cross_entropy_loss(logits.index({mask}), want.at("input.token_ids").index({mask})),
      want.at("output.loss"));
}

PARITY_CASE(timm_hub) {
  const auto [want, model, vit] = open_hub_model(fixture, check);
  check.t1("forward_features",
           vit->forward_features(want.at("input.img")),
           want.at("output.forward_features"));
  check.t1("logits", vit->forward(want.at("input.img")), want.at("output.logits"));
}
