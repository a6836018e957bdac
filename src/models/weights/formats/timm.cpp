#include <utility>

#include "error.h"
#include "models/weights/foreign_config.h"
#include "models/weights/formats/formats.h"

namespace previt {
namespace {

using nlohmann::json;

const Naming kTimmNaming = {.table = {}, .steps = {packed_swiglu()}};

// The function of timm that makes such a network; model_args override its sizes.
std::string timm_architecture(const VitOptions& o) {
  if (o.mlp == MlpKind::swiglu) return "vit_giant_patch14_dinov2";
  if (o.dist_token) return "deit_base_distilled_patch16_224";
  if (o.arch == "vit_huge") return "vit_huge_patch14_224";
  const bool named = o.arch == "vit_tiny" || o.arch == "vit_small" || o.arch == "vit_large";
  return (named ? o.arch : "vit_base") + "_patch16_224";
}

// timm's hidden width is ratio × width, truncated, and holds both halves of SwiGLU.
double timm_mlp_ratio(const LoadedModel& model) {
  const VitOptions& o = model.options;
  if (o.mlp != MlpKind::swiglu) return o.mlp_ratio;
  return mlp_ratio_of(model.weights.at("blocks.0.mlp.w12.bias").numel(), o.embed_dim);
}

std::string timm_pool(const VitOptions& o) { return o.pool == Pooling::cls ? "token" : "avg"; }

json timm_arguments(const LoadedModel& model) {
  const VitOptions& o = model.options;
  json args = {{"img_size", config_image_size(o)},
               {"patch_size", o.patch_size},
               {"in_chans", o.in_channels},
               {"embed_dim", o.embed_dim},
               {"depth", o.depth},
               {"num_heads", o.num_heads},
               {"mlp_ratio", timm_mlp_ratio(model)},
               {"num_classes", o.num_classes},
               {"global_pool", timm_pool(o)},
               {"qkv_bias", o.qkv_bias == QkvBias::full}};
  if (o.pool == Pooling::norm_avg) args["fc_norm"] = false;
  if (!o.cls_token) args["class_token"] = false;
  if (!o.pos_embed_cls) args["no_embed_class"] = true;
  if (o.pos_embed == PosEmbed::none) args["pos_embed"] = "none";
  if (o.register_tokens > 0) args["reg_tokens"] = o.register_tokens;
  if (o.mlp == MlpKind::swiglu || o.layer_scale > 0) {
    args["init_values"] = o.layer_scale > 0 ? json(o.layer_scale) : json();
  }
  return args;
}

json timm_config(const LoadedModel& model) {
  const VitOptions& o = model.options;
  json config = {{"architecture", timm_architecture(o)},
                 {"num_classes", o.num_classes},
                 {"num_features", o.embed_dim},
                 {"global_pool", timm_pool(o)},
                 {"model_args", timm_arguments(model)},
                 {"pretrained_cfg",
                  {{"input_size", {o.in_channels, o.image_height(), o.image_width()}},
                   {"interpolation", "bicubic"},
                   {"mean", model.normalize.mean},
                   {"std", model.normalize.std},
                   {"num_classes", o.num_classes},
                   {"first_conv", "patch_embed.proj"},
                   {"classifier", "head"}}}};
  if (o.dist_token) config["pretrained_cfg"]["classifier"] = {"head", "head_dist"};
  if (model.crop_pct > 0) {
    config["pretrained_cfg"]["crop_pct"] = model.crop_pct;
    config["pretrained_cfg"]["crop_mode"] = "center";
  }
  if (!model.class_names.empty()) config["label_names"] = model.class_names;
  return config;
}

// timm's own files, and all others with its names, which are ours too.
class TimmFormat final : public WeightFormat {
 public:
  std::string name() const override { return "timm"; }

  bool recognises(const ForeignModel& model) const override {
    return model.network.contains(kPatchEmbed);
  }

  ResizeConvention pos_resize(const ForeignModel& /*model*/) const override {
    return ResizeConvention::timm;
  }

  // torch.save's files are of all who have timm's names, which take ImageNet's numbers; timm's own
  // networks have others too.
  LoadedModel read(const ForeignModel& file, const LoadHints& hints) const override {
    LoadedModel model = WeightFormat::read(file, hints);
    if (!file.pickled) guess_normalization(model, hints);
    return model;
  }

  // timm has no decoders and no heads of pre-training.
  bool has_place(const LoadedModel& /*model*/, const std::string& /*name*/) const override {
    return false;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    const VitOptions& o = model.options;
    require(
        o.qkv_bias != QkvBias::qv, "{}: its networks have a bias of the keys too, or none", name());
    require(o.register_tokens == 0 || !o.pos_embed_cls,
            "{}: register tokens and a position of the class token don't go together",
            name());
    ForeignModel file;
    file.network = to_foreign(kTimmNaming, model.weights);
    file.beside = to_foreign(kTimmNaming, model.extra);
    file.config = timm_config(model);
    file.metadata = {{"format", "pt"}};
    return file;
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override {
    return {"pos_embed",
            "pos_embed_cls",
            "cls_token",
            "dist_token",
            "register_tokens",
            "mlp",
            "qkv_bias",
            "layer_scale",
            "pool",
            "num_classes"};
  }
};

}  // namespace

FormatPtr timm_format() { return std::make_unique<TimmFormat>(); }

}  // namespace previt
