#include <filesystem>

#include "error.h"
#include "finetune/model.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/pth.h"
#include "models/weights/weights.h"
#include "parity/mae_forward.h"
#include "parity/parity.h"

using namespace previt;
using namespace previt::parity;

namespace {

namespace fs = std::filesystem;

// mae_pretrain_encoder_a.pth → mae_checkpoint_a.expected.safetensors, beside it.
SafeTensors expected(const Fixture& fixture, const std::string& case_name) {
  const fs::path path(fixture.path);
  const std::string variant = path.stem().string().substr(fixture.case_name.size());
  return read_safetensors(path.parent_path() / (case_name + variant + ".expected.safetensors"));
}

SafeTensors io(const Fixture& fixture) {
  return read_safetensors(fixture.path + "/io.safetensors");
}

void check_exact(const NamedTensors& got,
                 const NamedTensors& want,
                 const std::string& prefix,
                 Check& check) {
  for (const auto& [key, tensor] : want) {
    if (key.rfind(prefix, 0) != 0) continue;
    const auto it = got.find(key.substr(prefix.size()));
    if (it == got.end()) {
      check.fail(key, "missing");
    } else {
      check.that(key + ": type", it->second.scalar_type() == tensor.scalar_type());
      check.exact(key, it->second, tensor);
    }
  }
}

const PickleValue& member(const PickleValue& value, const std::string& key) {
  const PickleValue* found = value.find(key);
  require(found != nullptr, "the file has no {}", key);
  return *found;
}

bool has_group(const NamedTensors& tensors, const std::string& prefix) {
  const auto it = tensors.lower_bound(prefix);
  return it != tensors.end() && it->first.rfind(prefix, 0) == 0;
}

// Of a network that was wrapped for several processes the names begin otherwise.
std::string wrapped(const NamedTensors& want, const std::string& start) {
  return has_group(want, start + "module.") ? start + "module." : start;
}

// Files need not tell the heads and the norm's epsilon; the configuration that they were made with
// does.
LoadedModel load_configured(const std::string& path, const SafeTensors& want) {
  const auto it = want.metadata.find("config");
  if (it == want.metadata.end()) return load_model(path);
  const auto config = nlohmann::json::parse(it->second);
  LoadHints hints;
  if (config.contains("img_size") && config["img_size"].is_array()) {
    hints.image_size = config["img_size"].get<std::vector<int64_t>>();
  }
  LoadedModel model = load_model(path, nullptr, hints);
  for (const char* key : {"num_heads", "num_attention_heads"}) {
    if (config.contains(key)) model.options.num_heads = config[key];
  }
  for (const char* key : {"ln_eps", "layer_norm_eps"}) {
    if (config.contains(key)) model.options.norm_eps = config[key];
  }
  return model;
}

std::shared_ptr<Vit> build(const LoadedModel& model, Check& check) {
  auto vit = std::make_shared<Vit>(model.options);
  const LoadReport report = load_into(*vit, model.weights);
  check.that(fmt::format("missing {}", report.missing), report.missing.empty());
  check.that(fmt::format("unexpected {}", report.unexpected), report.unexpected.empty());
  return vit;
}

// The forward pass that is stored beside an official checkpoint.
void check_mae_forward(const LoadedModel& model,
                       const nlohmann::json& config,
                       const NamedTensors& want,
                       Check& check) {
  const MaeForward whole{.images = want.at("input.imgs"),
                         .noise = want.at("input.noise"),
                         .mask = want.at("output.mask"),
                         .prediction = want.at("output.pred"),
                         .loss = want.at("output.loss")};
  whole.check(model,
              {.mask_ratio = config.at("mask_ratio"),
               .norm_pix_loss = config.at("norm_pix_loss"),
               .decoder = {.embed_dim = config.at("decoder_embed_dim"),
                           .depth = config.at("decoder_depth"),
                           .num_heads = config.at("decoder_num_heads"),
                           .mlp_ratio = config.at("mlp_ratio")}},
              check);
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

PARITY_CASE(pth_types) {
  const PthFile file = read_pth(fixture.path);
  const auto want = expected(fixture, "pth_types").tensors;
  check_exact(tensors_in(member(*file.root, "state_dict")), want, "", check);
  using Kind = PickleValue::Kind;
  const std::map<std::string, Kind> kinds = {{"epoch", Kind::integer},
                                             {"neg", Kind::integer},
                                             {"big_text", Kind::text},
                                             {"unicode", Kind::text},
                                             {"none", Kind::none},
                                             {"flags", Kind::list},
                                             {"tuple1", Kind::tuple},
                                             {"tuple4", Kind::tuple},
                                             {"nested", Kind::dict},
                                             {"np_float", Kind::real},
                                             {"set", Kind::set},
                                             {"np_array", Kind::tensor},
                                             {"device", Kind::text},
                                             {"dtype", Kind::object},
                                             {"size", Kind::tuple},
                                             {"args", Kind::object}};
  for (const auto& [key, kind] : kinds) check.that(key, member(*file.root, key).is(kind));
}

PARITY_CASE(pth_legacy) {
  const PthFile file = read_pth(fixture.path);
  auto want = expected(fixture, "pth_types").tensors;
  want.erase("expanded");
  check_exact(tensors_in(member(*file.root, "model")), want, "", check);
}

// facebookresearch/deit's layout: {"model": state_dict}, fine-tuned at another size.
PARITY_CASE(deit_distilled_checkpoint) {
  const SafeTensors file = expected(fixture, "deit_distilled_checkpoint");
  const NamedTensors& want = file.tensors;
  const LoadedModel model = load_configured(fixture.path, file);
  check.that("distillation token", model.options.dist_token);
  const auto vit = build(model, check);
  check.t1("logits", vit->forward(want.at("input.img")), want.at("output.logits"));

  const at::Tensor larger = want.at("input.img_384");
  VitOptions options = vit->options();
  options.image_size = {larger.size(2)};
  const auto tuned = vit_from_checkpoint(model, options, {.keep = true});
  check.t1("pos_embed_384", tuned->pos_embed, want.at("output.pos_embed_384"));
  check.t1("logits_384", tuned->forward(larger), want.at("output.logits_384"));
}

// Whatever a checkpoint may lack is compared where the fixture has it.
PARITY_CASE(dino_checkpoint) {
  const SafeTensors whole = expected(fixture, "dino_checkpoint");
  const NamedTensors& want = whole.tensors;
  const PthFile file = read_pth(fixture.path);
  for (const std::string key : {"student", "teacher"}) {
    if (!has_group(want, key + ".")) continue;
    check_exact(tensors_in(member(*file.root, key)), want, key + ".", check);
  }
  if (want.contains("center")) {
    check.exact(
        "center", tensors_in(member(*file.root, "dino_loss")).at("center"), want.at("center"));
  }

  const LoadedModel model = load_configured(fixture.path, whole);
  check_exact(model.weights, want, wrapped(want, "teacher.") + "backbone.", check);
  check.t1("teacher_cls",
           build(model, check)->pooled(want.at("input.img")),
           want.at("output.teacher_cls"));
}

namespace {

void check_optimizer(const PickleValue& optimizer,
                     const std::vector<std::string>& order,
                     const NamedTensors& want,
                     Check& check) {
  const PickleValue& states = member(optimizer, "state");
  check.that("one optimizer state for each parameter", states.entries.size() == order.size());
  for (const auto& [index, state] : states.entries) {
    const std::string& name = order.at(static_cast<size_t>(index->integer));
    for (const auto& [part, tensor] : tensors_in(*state)) {
      const std::string key = "optimizer." + part + "." + name;
      check.exact(key, tensor, want.at(key));
    }
  }
}

}  // namespace

PARITY_CASE(mae_checkpoint) {
  const SafeTensors want = expected(fixture, "mae_checkpoint");
  const auto config = nlohmann::json::parse(want.metadata.at("config"));
  const PthFile file = read_pth(fixture.path);
  check_exact(tensors_in(member(*file.root, "model")), want.tensors, "weight.", check);
  if (config.contains("epoch")) {
    check.that("epoch", member(*file.root, "epoch").integer == config["epoch"].get<int64_t>());
  }
  if (const PickleValue* args = file.root->find("args"); args != nullptr) {
    check.that("args", pickle_to_json(*args) == config.at("args"));
  }
  if (has_group(want.tensors, "optimizer.")) {
    check_optimizer(
        member(*file.root, "optimizer"), config.at("optimizer_param_order"), want.tensors, check);
  }

  const LoadedModel model = load_configured(fixture.path, want);
  for (const auto& [key, tensor] : model.weights)
    check.exact(key, tensor, want.tensors.at(wrapped(want.tensors, "weight.") + key));
  for (const auto& [key, tensor] : model.extra)
    check.exact(key, tensor, want.tensors.at(wrapped(want.tensors, "weight.") + key));
  build(model, check);
  check_mae_forward(model, config, want.tensors, check);
}

PARITY_CASE(mae_pretrain_encoder) {
  const SafeTensors whole = expected(fixture, "mae_checkpoint");
  const NamedTensors& want = whole.tensors;
  const LoadedModel model = load_configured(fixture.path, whole);
  for (const auto& [key, tensor] : model.weights)
    check.exact(key, tensor, want.at(wrapped(want, "weight.") + key));
  check.that("nothing else", model.extra.empty());
  check.that("sin-cos positions", model.options.pos_embed == PosEmbed::sincos);
}

PARITY_CASE(hf_vit) {
  const SafeTensors file = io(fixture);
  const NamedTensors& want = file.tensors;
  const LoadedModel model = load_configured(fixture.path, file);
  const auto vit = build(model, check);
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
  const SafeTensors file = io(fixture);
  const NamedTensors& want = file.tensors;
  const LoadedModel model = load_configured(fixture.path, file);
  const auto vit = build(model, check);
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
  const SafeTensors file = io(fixture);
  const NamedTensors& want = file.tensors;
  const LoadedModel model = load_configured(fixture.path, file);
  const auto vit = build(model, check);
  check_hidden_states(*vit, want, check);
  check.t1("last_hidden_state_masked",
           masked_features(*vit, model, want),
           want.at("output.last_hidden_state_masked"));
  check.t1(
      "pooler_output", vit->pooled(want.at("input.pixel_values")), want.at("output.pooler_output"));
}

PARITY_CASE(hf_beit) {
  const SafeTensors file = io(fixture);
  const NamedTensors& want = file.tensors;
  const LoadedModel model = load_configured(fixture.path, file);
  const auto vit = build(model, check);
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
  const SafeTensors file = io(fixture);
  const NamedTensors& want = file.tensors;
  const LoadedModel model = load_configured(fixture.path, file);
  const auto vit = build(model, check);
  check.t1("forward_features",
           vit->forward_features(want.at("input.img")),
           want.at("output.forward_features"));
  check.t1("logits", vit->forward(want.at("input.img")), want.at("output.logits"));
}
