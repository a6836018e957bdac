#include "models/weights/read_network.h"

#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "error.h"
#include "models/layers/pos_embed.h"
#include "models/weights/foreign_config.h"
#include "models/weights/infer_options.h"
#include "models/weights/other_networks.h"

namespace previt {
namespace {

using nlohmann::json;

// Whether the positions are MAE's fixed table, which distinguishes its bare encoders from timm's
// files.
bool has_sincos_positions(const NamedTensors& weights, const VitOptions& o) {
  const auto it = weights.find("pos_embed");
  if (it == weights.end() || o.embed_dim % 4 != 0) return false;
  const at::Tensor table =
      sincos_positions(o.embed_dim, o.grid_height(), o.grid_width(), o.pos_embed_cls);
  return it->second.numel() == table.numel() &&
         torch::allclose(it->second.to(torch::kFloat).view_as(table), table, 0, 1e-5);
}

// A network whose positions are not read would compute something else. Only a configuration of timm
// can say that it has none.
void require_positions(const ForeignModel& model, const VitOptions& o) {
  const json& config = model.config;
  const bool told = config.is_object() && config.contains("model_args") &&
                    config["model_args"].is_object() &&
                    config["model_args"].value("pos_embed", json()) == "none";
  require(o.has_positions() || told,
          "{}: has no positions (pos_embed or relative tables); rotary ones, as DINOv3's, are not "
          "supported",
          model.place);
}

// Other kinds of networks begin with a projection of patches too.
void require_blocks(const ForeignModel& model, const NamedTensors& backbone) {
  const bool any = std::any_of(backbone.begin(), backbone.end(), [](const auto& entry) {
    return entry.first.starts_with("blocks.");
  });
  require(any, "{}: {}", model.place, why_not_read(model.network, "has no blocks"));
}

// Parts between the patches and the head without which a network computes something else. Of
// patch_embed our Vision Transformer has the projection.
void require_no_other_parts(const NamedTensors& extra, const std::string& place) {
  for (const auto& [name, tensor] : extra) {
    for (const char* part : {"norm_pre.", "rope", "patch_embed.", "attn_pool.", "pre_logits."}) {
      require(!name.starts_with(part), "{}: {} is no part of our Vision Transformer", place, name);
    }
  }
}

// MoCo v3's networks have the usual heads, but 12 at width 384 (moco-v3:vits.py). Its files hold two
// of them.
void take_heads_of_moco(const std::string& prefix, LoadedModel& model) {
  const bool moco = prefix.ends_with("base_encoder.") || prefix.ends_with("momentum_encoder.");
  VitOptions& o = model.options;
  if (!moco || o.num_heads == 0) return;
  model.heads_told = true;
  if (o.embed_dim != 384) return;
  o.arch = "custom";
  o.num_heads = 12;
}

void require_channels(LoadedModel& model) {
  const int64_t channels = model.options.in_channels;
  require(channels == 1 || channels == 3,
          "{}: sees {} channels; images are read as RGB (3) or made grey (1), not with others",
          model.source,
          channels);
  if (std::ssize(model.normalize.mean) != channels) model.normalize = half_normalize(channels);
}

void require_real_numbers(const NamedTensors& weights, const std::string& place) {
  for (const auto& [name, tensor] : weights) {
    require(tensor.is_floating_point(),
            "{}: {} holds whole numbers, as quantized weights do, which are not read",
            place,
            name);
  }
}

}  // namespace

LoadedModel read_network(const ForeignModel& foreign,
                         NamedWeights named,
                         ResizeConvention pos_resize,
                         const LoadHints& hints) {
  const std::string& place = foreign.place;
  LoadedModel model;
  model.source = place;
  require_blocks(foreign, named.backbone);
  model.options = infer_options(named.backbone, image_size_in(foreign.config), place, hints);
  model.options.pos_resize = pos_resize;
  require_positions(foreign, model.options);
  require_no_other_parts(named.extra, place);
  model.heads_told = model.options.rel_pos_bias != RelPosBias::none;
  take_heads_of_moco(foreign.prefix, model);
  if (has_sincos_positions(named.backbone, model.options)) {
    model.options.pos_embed = PosEmbed::sincos;
    model.options.pos_resize = ResizeConvention::mae;
  }
  model.weights = std::move(named.backbone);
  apply_config(foreign.config, model);
  require_channels(model);
  require_real_numbers(model.weights, place);
  model.extra = std::move(named.extra);
  model.config = foreign.config;
  return model;
}

}  // namespace previt
