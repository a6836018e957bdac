#include "models/weights/infer_options.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "error.h"

namespace previt {
namespace {

const at::Tensor& get(const NamedTensors& weights,
                      const std::string& key,
                      int64_t dims,
                      const std::string& place) {
  const auto it = weights.find(key);
  require(it != weights.end(), "{}: has no {}", place, key);
  require(it->second.dim() == dims && it->second.numel() > 0,
          "{}: {}: {} dimensions instead of {}, or empty",
          place,
          key,
          it->second.dim(),
          dims);
  return it->second;
}

// The side of a square of so many patches; -1 if they are not a square.
int64_t square_side(int64_t patches) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(patches))));
  return patches > 0 && side * side == patches ? side : -1;
}

// Counts the blocks. Refuses parts that Vit does not have: without them it would compute something
// else.
int64_t count_blocks(const NamedTensors& weights, const std::string& place) {
  // clang-format off
  static const std::set<std::string> kParts = {
      "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias",
      "attn.qkv.weight", "attn.qkv.bias", "attn.q_bias", "attn.v_bias",
      "attn.proj.weight", "attn.proj.bias", "attn.relative_position_bias_table",
      "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias",
      "mlp.w12.weight", "mlp.w12.bias", "mlp.w3.weight", "mlp.w3.bias",
      "ls1.gamma", "ls2.gamma"};
  // clang-format on
  std::set<std::string> indices;
  for (const auto& [key, tensor] : weights) {
    if (key.compare(0, 7, "blocks.") != 0) continue;
    const size_t dot = std::min(key.find('.', 7), key.size() - 1);
    require(kParts.contains(key.substr(dot + 1)),
            "{}: {} is no part of our Vision Transformer",
            place,
            key);
    indices.insert(key.substr(7, dot - 7));
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    require(indices.contains(std::to_string(i)), "{}: has no blocks.{}", place, i);
  }
  require(!indices.empty(), "{}: has no blocks", place);
  return static_cast<int64_t>(indices.size());
}

// With BEiT's attn_head_dim, all heads together can be wider or narrower than the model.
void infer_attention(const NamedTensors& weights, VitOptions& o, const std::string& place) {
  o.qkv_bias = weights.contains("blocks.0.attn.q_bias")     ? QkvBias::qv
               : weights.contains("blocks.0.attn.qkv.bias") ? QkvBias::full
                                                            : QkvBias::none;
  const int64_t width = get(weights, "blocks.0.attn.qkv.weight", 2, place).size(0) / 3;
  if (width != o.embed_dim) o.attention_dim = width;
}

void infer_mlp(const NamedTensors& weights, VitOptions& o, const std::string& place) {
  if (!weights.contains("blocks.0.mlp.w12.weight")) {
    const at::Tensor& first = get(weights, "blocks.0.mlp.fc1.weight", 2, place);
    o.mlp_ratio = mlp_ratio_of(first.size(0), o.embed_dim);
    return;
  }
  // DINOv2 makes the hidden width two thirds of ratio × width, rounded up to a multiple of 8.
  o.mlp = MlpKind::swiglu;
  const int64_t hidden = get(weights, "blocks.0.mlp.w3.weight", 2, place).size(1);
  const int64_t usual = mlp_hidden_width(o.mlp, o.embed_dim, o.mlp_ratio);
  if (hidden != usual) o.mlp_ratio = mlp_ratio_of(hidden * 3 / 2, o.embed_dim);
}

// Which relative tables there are, and the number of heads, which is that of their columns.
void infer_relative(const NamedTensors& weights, VitOptions& o, const std::string& place) {
  const std::string shared = "rel_pos_bias.relative_position_bias_table";
  const std::string own = "blocks.0.attn.relative_position_bias_table";
  if (!weights.contains(shared) && !weights.contains(own)) return;
  o.rel_pos_bias = !weights.contains(own)     ? RelPosBias::shared
                   : weights.contains(shared) ? RelPosBias::both
                                              : RelPosBias::per_block;
  o.num_heads = get(weights, weights.contains(own) ? own : shared, 2, place).size(1);
}

// Without a class token patches are averaged: before the norm, or after it where that is the final
// one of the tokens.
Pooling infer_pool(const NamedTensors& weights) {
  if (weights.contains("fc_norm.weight")) return Pooling::avg;
  if (weights.contains("cls_token")) return Pooling::cls;
  return weights.contains("norm.weight") ? Pooling::norm_avg : Pooling::avg;
}

int64_t patches_of(const std::vector<int64_t>& image_size, const VitOptions& o) {
  if (image_size.empty()) return -1;
  return image_size.front() / o.patch_size * (image_size.back() / o.patch_size);
}

// What is left of the sides where the patches don't fill them.
std::vector<int64_t> in_whole_patches(std::vector<int64_t> image_size, int64_t patch) {
  for (int64_t& side : image_size) side = side / patch * patch;
  return image_size;
}

void infer_image_size(const NamedTensors& weights,
                      VitOptions& o,
                      const std::vector<int64_t>& told,
                      const std::string& place,
                      const LoadHints& hints) {
  const std::vector<int64_t> known = in_whole_patches(told, o.patch_size);
  int64_t side = -1;
  if (weights.contains("pos_embed")) {
    const int64_t rows = get(weights, "pos_embed", 3, place).size(1);
    const int64_t known_patches = patches_of(known, o);
    const int64_t prefix = o.num_class_tokens();
    // Class tokens have rows, unless the table fits a grid without them.
    o.pos_embed_cls =
        prefix > 0 && rows != known_patches &&
        (rows == known_patches + prefix || square_side(rows - prefix) > 0 || square_side(rows) < 0);
    const int64_t patches = rows - o.num_prefix_positions();
    if (patches == known_patches) {
      o.image_size = known;
      return;
    }
    side = square_side(patches);
    if (side < 0 && patches == patches_of(hints.image_size, o)) {
      o.image_size = hints.image_size;
      return;
    }
    require(side > 0,
            "{}: pos_embed: {} rows are no square grid, and nothing says which other; give {}",
            place,
            rows,
            hints.words.image_size);
  } else {
    o.pos_embed = PosEmbed::none;
    if (!known.empty()) {
      o.image_size = known;
      return;
    }
    if (o.rel_pos_bias == RelPosBias::none) return;
    const char* key = o.rel_pos_bias == RelPosBias::shared
                          ? "rel_pos_bias.relative_position_bias_table"
                          : "blocks.0.attn.relative_position_bias_table";
    const int64_t doubled = square_side(weights.at(key).size(0) - 3);  // (2 side - 1)² + 3 rows
    require(doubled > 0 && doubled % 2 == 1, "{}: {}: no square grid has so many rows", place, key);
    side = (doubled + 1) / 2;
  }
  o.image_size = {side * o.patch_size};
}

}  // namespace

VitOptions infer_options(const NamedTensors& weights,
                         const std::vector<int64_t>& image_size,
                         const std::string& place,
                         const LoadHints& hints) {
  VitOptions o;
  const at::Tensor& patch = get(weights, "patch_embed.proj.weight", 4, place);
  require(patch.size(2) == patch.size(3),
          "{}: patches of {} x {} pixels are not square",
          place,
          patch.size(2),
          patch.size(3));
  require(weights.contains("patch_embed.proj.bias"), "{}: has no patch_embed.proj.bias", place);
  o.embed_dim = patch.size(0);
  o.in_channels = patch.size(1);
  o.patch_size = patch.size(2);
  o.depth = count_blocks(weights, place);
  o.cls_token = weights.contains("cls_token");
  o.dist_token = weights.contains("dist_token");
  if (weights.contains("reg_token"))
    o.register_tokens = get(weights, "reg_token", 3, place).size(1);
  // The initial value is in no file; any above 0 makes the parameters.
  if (weights.contains("blocks.0.ls1.gamma")) o.layer_scale = 1e-5;
  o.pool = infer_pool(weights);
  if (weights.contains("head.weight"))
    o.num_classes = get(weights, "head.weight", 2, place).size(0);
  infer_attention(weights, o, place);
  infer_mlp(weights, o, place);
  infer_relative(weights, o, place);
  infer_image_size(weights, o, image_size, place, hints);

  o.arch = "custom";
  for (const char* arch :
       {"vit_tiny", "vit_small", "vit_base", "vit_large", "vit_huge", "vit_giant"}) {
    const VitOptions named = resolve({.arch = arch});
    if (named.embed_dim != o.embed_dim || o.attention_dim != 0) continue;
    if (o.num_heads == 0) o.num_heads = named.num_heads;
    if (named.depth == o.depth && named.num_heads == o.num_heads) o.arch = arch;
  }
  return o;
}

}  // namespace previt
