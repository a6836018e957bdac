#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/attention.h"
#include "models/layers/drop_path.h"
#include "models/layers/mlp.h"
#include "models/layers/pos_embed.h"
#include "options.h"

namespace previt {

/// Absolute positions of the patches: a parameter, MAE's fixed table, or none.
enum class PosEmbed { learned, sincos, none };
constexpr auto enum_names(PosEmbed) { return std::array{"learned", "sincos", "none"}; }

/// Relative position tables (BEiT): one for the model, one for each block, or the sum of both.
enum class RelPosBias { none, shared, per_block, both };
constexpr auto enum_names(RelPosBias) { return std::array{"none", "shared", "per_block", "both"}; }

/// What stands for an image: norm(x)[cls]; fc_norm(mean of patches) without a final norm; or the mean
/// of norm(x)'s patches, as I-JEPA and timm's networks with fc_norm=False have it.
enum class Pooling { cls, avg, norm_avg };
constexpr auto enum_names(Pooling) { return std::array{"cls", "avg", "norm_avg"}; }

/// The options of the one Vision Transformer that serves all objectives (docs/official_settings.md,
/// "The Vision Transformer"). Dimensions that are 0 are taken from `arch`.
struct VitOptions {
  /// vit_tiny, vit_small, vit_base, vit_large, vit_huge, vit_giant; custom: as the sizes below say
  std::string arch = "vit_base";
  int64_t embed_dim = 0, depth = 0, num_heads = 0;
  int64_t attention_dim = 0;  ///< of all heads together (BEiT's attn_head_dim); 0: embed_dim
  double mlp_ratio = 4;
  MlpKind mlp = MlpKind::gelu;

  std::vector<int64_t> image_size = {224};  ///< [side] or [height, width]
  int64_t patch_size = 16;
  int64_t in_channels = 3;

  PosEmbed pos_embed = PosEmbed::learned;
  ResizeConvention pos_resize = ResizeConvention::timm;  ///< for other input sizes
  bool pos_embed_cls = true;  ///< false: no row for cls (timm's no_embed_class)
  bool cls_token = true;
  bool dist_token = false;  ///< DeiT's second token: own position, own head
  int64_t register_tokens = 0;
  RelPosBias rel_pos_bias = RelPosBias::none;

  QkvBias qkv_bias = QkvBias::full;
  double layer_scale = 0;  ///< initial value; 0: no LayerScale
  double drop_path = 0;    ///< share of residual branches left out in training
  DropPathMode drop_path_mode = DropPathMode::linear;
  double norm_eps = 1e-6;
  Pooling pool = Pooling::cls;
  int64_t num_classes = 0;  ///< 0: no head

  int64_t attention_width() const { return attention_dim > 0 ? attention_dim : embed_dim; }
  int64_t image_height() const { return image_size.front(); }
  int64_t image_width() const { return image_size.back(); }
  int64_t grid_height() const { return image_height() / patch_size; }
  int64_t grid_width() const { return image_width() / patch_size; }
  int64_t num_patches() const { return grid_height() * grid_width(); }
  /// Whether it has any positions, which belong to one image size.
  bool has_positions() const {
    return pos_embed != PosEmbed::none || rel_pos_bias != RelPosBias::none;
  }
  /// Tokens that a head may read: cls and the distillation token.
  int64_t num_class_tokens() const { return (cls_token ? 1 : 0) + (dist_token ? 1 : 0); }
  int64_t num_prefix_tokens() const { return num_class_tokens() + register_tokens; }
  /// Rows of pos_embed before those of the patches.
  int64_t num_prefix_positions() const { return pos_embed_cls ? num_class_tokens() : 0; }
};
void visit(FieldVisitor& v, VitOptions& o);

/// Fills the zero dimensions from `arch` and checks that the options fit together. Throws
/// UsageError that says which option to change.
VitOptions resolve(VitOptions options);

}  // namespace previt
