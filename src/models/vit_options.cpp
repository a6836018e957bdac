#include "models/vit_options.h"

#include <map>

#include "error.h"

namespace previt {
namespace {

struct Size {
  int64_t embed_dim, depth, num_heads;
};
// docs/official_settings.md; vit_giant is DINOv2's.
const std::map<std::string, Size> kSizes = {
    {"vit_tiny", {192, 12, 3}},
    {"vit_small", {384, 12, 6}},
    {"vit_base", {768, 12, 12}},
    {"vit_large", {1024, 24, 16}},
    {"vit_huge", {1280, 32, 16}},
    {"vit_giant", {1536, 40, 24}},
};

}  // namespace

void visit(FieldVisitor& v, VitOptions& o) {
  Choices archs;
  for (const auto& [name, size] : kSizes) archs.push_back(name);
  archs.emplace_back("custom");  // as loaded weights of other sizes are described
  v.field("arch", o.arch, "named size; custom: as embed_dim, depth and num_heads say", archs);
  v.field("embed_dim", o.embed_dim, "width; 0: as arch", at_least(0));
  v.field("depth", o.depth, "blocks; 0: as arch", between(0, 1000));
  v.field("num_heads", o.num_heads, "attention heads; 0: as arch", at_least(0));
  v.field(
      "attention_dim", o.attention_dim, "width of all heads together; 0: embed_dim", at_least(0));
  v.field("mlp_ratio", o.mlp_ratio, "hidden width / width", above(0));
  v.field("mlp", o.mlp, "network of a block: GELU between two layers, or gated (SwiGLU)");
  v.field("image_size", o.image_size, "[side] or [height, width]", at_least(1));
  v.field("patch_size", o.patch_size, "pixels", at_least(1));
  v.field("in_channels", o.in_channels, "3: RGB, 1: grey", at_least(1));
  v.field("pos_embed", o.pos_embed, "absolute positions: learned, a fixed table (sincos) or none");
  v.field("pos_resize", o.pos_resize, "whose way of resampling positions to other image sizes");
  v.field("pos_embed_cls", o.pos_embed_cls, "whether prefix tokens get a position");
  v.field("cls_token", o.cls_token, "a class token before the patches");
  v.field("dist_token", o.dist_token, "DeiT's distillation token, with a head of its own");
  v.field("register_tokens",
          o.register_tokens,
          "extra tokens that no output is read from",
          between(0, 1024));
  v.field("rel_pos_bias", o.rel_pos_bias, "relative position tables: of the model, of each block");
  v.field("qkv_bias", o.qkv_bias, "biases of queries, keys and values; qv: of no keys (BEiT)");
  v.field("layer_scale", o.layer_scale, "initial value; 0: none", at_least(0));
  v.field("drop_path",
          o.drop_path,
          "stochastic depth: share of branches left out",
          {0, 1, false, true});
  v.field(
      "drop_path_mode", o.drop_path_mode, "drop_path rises linearly over the depth, or is uniform");
  v.field("norm_eps", o.norm_eps, "added to the variance in LayerNorm", above(0));
  v.field("pool",
          o.pool,
          "an image is its class token, the mean of its patches, or that of its normed patches");
  v.field("num_classes", o.num_classes, "outputs of the classifier; 0: no head", at_least(0));
}

VitOptions resolve(VitOptions o) {
  const auto it = kSizes.find(o.arch);
  if (it != kSizes.end()) {
    if (o.embed_dim == 0) o.embed_dim = it->second.embed_dim;
    if (o.depth == 0) o.depth = it->second.depth;
    if (o.num_heads == 0) o.num_heads = it->second.num_heads;
  }
  if (o.embed_dim <= 0 || o.depth <= 0 || o.num_heads <= 0) {
    fail_usage("model.arch: {} is unknown; give embed_dim, depth and num_heads", o.arch);
  }
  if (o.attention_width() % o.num_heads != 0) {
    fail_usage("model.{}: {} is not a multiple of num_heads {}",
               o.attention_dim > 0 ? "attention_dim" : "embed_dim",
               o.attention_width(),
               o.num_heads);
  }
  // The usual width is always written as 0, so that equal networks have equal options.
  if (o.attention_dim == o.embed_dim) o.attention_dim = 0;
  if (o.image_size.empty() || o.image_size.size() > 2) {
    fail_usage("model.image_size: give [side] or [height, width]");
  }
  for (const int64_t side : o.image_size) {
    if (side % o.patch_size != 0) {
      fail_usage("model.image_size: {} is not a multiple of patch_size {}", side, o.patch_size);
    }
  }
  if (o.pos_embed == PosEmbed::sincos && o.embed_dim % 4 != 0) {
    fail_usage("model.embed_dim: sin-cos positions need a multiple of 4, not {}", o.embed_dim);
  }
  if (o.dist_token && (!o.cls_token || o.pool != Pooling::cls || o.pos_embed == PosEmbed::sincos)) {
    fail_usage("model.dist_token: needs cls_token: true, pool: cls and pos_embed: learned or none");
  }
  // A relative table has rows for patches and cls alone (rel_pos_bias.h).
  if (o.rel_pos_bias != RelPosBias::none && o.dist_token) {
    fail_usage("model.rel_pos_bias: {} needs dist_token: false", name_of(o.rel_pos_bias));
  }
  if (o.rel_pos_bias != RelPosBias::none && (!o.cls_token || o.register_tokens > 0)) {
    fail_usage("model.rel_pos_bias: {} needs cls_token: true and register_tokens: 0",
               name_of(o.rel_pos_bias));
  }
  if (o.pool == Pooling::cls && !o.cls_token) fail_usage("model.pool: cls needs cls_token: true");
  return o;
}

}  // namespace previt
