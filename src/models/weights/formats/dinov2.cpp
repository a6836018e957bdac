#include "models/weights/formats/formats.h"

namespace previt {
namespace {

const RenameTable kDinov2Names = {{"register_tokens", "reg_token"}};

// facebookresearch/dinov2: bare backbones, with the mask token of pre-training in them. Models with
// registers resize positions with antialiasing, the older ones without.
class Dinov2Format final : public WeightFormat {
 public:
  std::string name() const override { return "dinov2"; }

  std::string code_base() const override { return "facebookresearch/dinov2"; }

  bool usual_heads() const override { return true; }

  bool has_place(const LoadedModel& /*model*/, const std::string& name) const override {
    return name == "mask_token";
  }

  bool recognises(const ForeignModel& model) const override {
    const bool tokens =
        model.network.contains("register_tokens") || model.network.contains("mask_token");
    // BEiT and SimMIM have a mask token too, but no bias for the keys.
    return tokens && official_has(model, "blocks.0.attn.qkv.bias");
  }

  ResizeConvention pos_resize(const ForeignModel& model) const override {
    return official_has(model, "reg_token") ? ResizeConvention::dinov2_reg : ResizeConvention::dino;
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    ForeignModel file = official_file(model, {.table = kDinov2Names}, "");
    file.network.merge(file.beside);
    return file;
  }

  std::set<std::string> says(const LoadedModel& /*model*/) const override {
    return {"pos_embed", "register_tokens", "layer_scale", "mlp"};
  }
};

}  // namespace

FormatPtr dinov2_format() { return std::make_unique<Dinov2Format>(); }

}  // namespace previt
