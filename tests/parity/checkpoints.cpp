#include <filesystem>

#include "error.h"
#include "finetune/model.h"
#include "models/weights/pth.h"
#include "parity/configured_model.h"
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
  options.image_size = {larger.size(2), larger.size(3)};
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
  if (const PickleValue* epoch = file.root->find("epoch"); epoch != nullptr) {
    const auto config = nlohmann::json::parse(whole.metadata.at("config"));
    check.that("epoch", epoch->integer == config.at("epoch").get<int64_t>());
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
