#include "error.h"
#include "models/weights/weights.h"
#include "parity/vit.h"

namespace previt::parity {
namespace {

NamedTensors renamed(const NamedTensors& tensors,
                     const std::map<std::string, std::string>& renames,
                     const std::vector<std::string>& ignored) {
  NamedTensors result;
  for (const auto& [official, tensor] : tensors) {
    std::string name = official;
    for (const auto& [from, to] : renames) {
      const auto at = name.find(from);
      if (at != std::string::npos) name.replace(at, from.size(), to);
    }
    const bool skip = std::any_of(ignored.begin(), ignored.end(), [&](const std::string& part) {
      return name.find(part) != std::string::npos;
    });
    if (!skip) result[name] = tensor;
  }
  return result;
}

ResizeConvention dinov2_resize(const Fixture& fixture) {
  const bool offset = fixture.number("interpolate_offset") > 0;
  if (!fixture.flag("interpolate_antialias")) {
    return offset ? ResizeConvention::dino : ResizeConvention::mae;
  }
  if (offset) fail_usage("model.pos_resize: none has antialiasing and an offset");
  return ResizeConvention::dinov2_reg;
}

}  // namespace

const std::map<std::string, std::string> kDinov2Renames = {{"register_tokens", "reg_token"}};
const std::map<std::string, std::string> kBeitRenames = {{"gamma_1", "ls1.gamma"},
                                                         {"gamma_2", "ls2.gamma"}};

VitOptions vit_options(const Fixture& fixture, const std::string& prefix) {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = fixture.integer("embed_dim");
  o.depth = fixture.integer("depth");
  o.num_heads = fixture.integer("num_heads");
  o.mlp_ratio = fixture.number("mlp_ratio");
  o.patch_size = fixture.integer("patch_size");
  const auto& size = fixture.config.at("img_size");
  o.image_size = size.is_array() ? size.get<std::vector<int64_t>>()
                                 : std::vector<int64_t>{size.get<int64_t>()};
  o.norm_eps = fixture.number("ln_eps", o.norm_eps);
  const auto has = [&](const char* name) { return fixture.has(prefix + name); };
  o.in_channels = fixture.at(prefix + "patch_embed.proj.weight").size(1);
  o.attention_dim = fixture.at(prefix + "blocks.0.attn.qkv.weight").size(0) / 3;
  o.qkv_bias = has("blocks.0.attn.qkv.bias") ? QkvBias::full
               : has("blocks.0.attn.q_bias") ? QkvBias::qv
                                             : QkvBias::none;
  o.layer_scale = has("blocks.0.ls1.gamma") || has("blocks.0.gamma_1") ? 0.1 : 0;
  return o;
}

VitOptions dinov2_vit_options(const Fixture& fixture, const std::string& prefix) {
  VitOptions o = vit_options(fixture, prefix);
  o.mlp = fixture.config.at("ffn_layer") == "mlp" ? MlpKind::gelu : MlpKind::swiglu;
  o.register_tokens = fixture.integer("num_register_tokens");
  o.pos_resize = dinov2_resize(fixture);
  return o;
}

VitOptions beit_vit_options(const Fixture& fixture, const std::string& prefix) {
  VitOptions o = vit_options(fixture, prefix);
  const bool shared = fixture.has(prefix + "rel_pos_bias.relative_position_bias_table");
  const bool own = fixture.has(prefix + "blocks.0.attn.relative_position_bias_table");
  o.rel_pos_bias = shared ? (own ? RelPosBias::both : RelPosBias::shared)
                          : (own ? RelPosBias::per_block : RelPosBias::none);
  o.pos_embed = fixture.has(prefix + "pos_embed") ? PosEmbed::learned : PosEmbed::none;
  o.pool = fixture.has(prefix + "fc_norm.weight") ? Pooling::avg : Pooling::cls;
  return o;
}

void load_renamed(torch::nn::Module& module,
                  const NamedTensors& weights,
                  Check& check,
                  const std::map<std::string, std::string>& renames) {
  const LoadReport report =
      load_into(module, renamed(weights, renames, {"relative_position_index"}));
  module.to(device());
  for (const auto& name : report.missing) check.fail(name, "is not in the file");
  for (const auto& name : report.unexpected) check.fail(name, "is not in the model");
}

std::shared_ptr<Vit> load_vit(const Fixture& fixture,
                              const VitOptions& options,
                              Check& check,
                              const std::map<std::string, std::string>& renames,
                              const std::vector<std::string>& ignored) {
  auto vit = std::make_shared<Vit>(options);
  const auto report = load_into(*vit, renamed(fixture.group("weight."), renames, ignored));
  vit->to(device());
  for (const auto& name : report.missing) check.fail("weight." + name, "is not in the file");
  for (const auto& name : report.unexpected) check.fail("weight." + name, "is not in the model");
  return vit;
}

void check_gradients(const Fixture& fixture,
                     const torch::nn::Module& module,
                     Check& check,
                     const std::map<std::string, std::string>& renames,
                     const std::vector<std::string>& ignored) {
  const auto own = named_tensors(module);
  for (const auto& [name, want] : renamed(fixture.group("grad."), renames, ignored)) {
    const auto it = own.find(name);
    check.t2("grad." + name, it == own.end() ? at::Tensor() : it->second.grad(), want);
  }
}

void check_blocks(const Fixture& fixture, Vit& vit, const at::Tensor& images, Check& check) {
  const auto blocks = vit.intermediate(images, vit.options().depth, /*normed=*/false);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::string key = fmt::format("output.block.{}", i);
    check.t1(key, blocks[i], fixture.at(key));
  }
}

std::vector<std::vector<int64_t>> other_sizes(const Fixture& fixture) {
  return fixture.config.at("other_hw").get<std::vector<std::vector<int64_t>>>();
}

}  // namespace previt::parity
