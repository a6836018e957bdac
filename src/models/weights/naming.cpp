#include "models/weights/naming.h"

#include <torch/types.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "error.h"
#include "models/weights/networks.h"

namespace previt {
namespace {

using Renames = std::vector<std::pair<std::string, std::string>>;

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}
// Replaces the first entry that `key` starts with.
std::string rename(const std::string& key, const Renames& renames) {
  for (const auto& [from, to] : renames) {
    if (starts_with(key, from)) return to + key.substr(from.size());
  }
  return key;
}

// The dotted start that all names share, "module.model.".
std::string shared_prefix(const NamedTensors& weights) {
  const std::string& first = weights.begin()->first;
  const std::string& last = weights.rbegin()->first;  // sorted: all others lie between
  const auto differ = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const size_t dot = std::string(first.begin(), differ).rfind('.');
  return dot == std::string::npos ? "" : first.substr(0, dot + 1);
}

// The weights of the network at `prefix` without it. What no network holds, as a head beside a
// backbone, loses only what wraps everything; other networks keep their names.
template <class Rename>
NamedTensors unwrap(const NamedTensors& weights, const std::string& prefix, Rename rename) {
  const auto networks = network_prefixes(weights);
  const std::string outer = shared_prefix(weights);
  NamedTensors renamed, others;
  for (const auto& [key, tensor] : weights) {
    if (starts_with(key, prefix)) {
      renamed[rename(key.substr(prefix.size()))] = tensor;
      continue;
    }
    const bool foreign = std::any_of(networks.begin(), networks.end(), [&](const auto& network) {
      return network != prefix && starts_with(key, network);
    });
    if (!foreign) others[rename(key.substr(outer.size()))] = tensor;
  }
  renamed.merge(others);
  return renamed;
}

// --- Hugging Face → timm ------------------------------------------------------------------------

const Renames kHfBlock = {
    {"layernorm_before.", "norm1."},
    {"layernorm_after.", "norm2."},
    {"attention.attention.relative_position_bias.", "attn."},
    {"attention.attention.", "attn."},
    {"attention.output.dense.", "attn.proj."},
    {"intermediate.dense.", "mlp.fc1."},
    {"output.dense.", "mlp.fc2."},
    {"mlp.weights_in.", "mlp.w12."},
    {"mlp.weights_out.", "mlp.w3."},
    {"layer_scale1.lambda1", "ls1.gamma"},
    {"layer_scale2.lambda1", "ls2.gamma"},
    {"lambda_1", "ls1.gamma"},
    {"lambda_2", "ls2.gamma"},
};
const Renames kHfOuter = {
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.distillation_token", "dist_token"},
    {"embeddings.mask_token", "mask_token"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.register_tokens", "reg_token"},
    {"embeddings.patch_embeddings.projection.", "patch_embed.proj."},
    {"encoder.relative_position_bias.", "rel_pos_bias."},
    {"pooler.layernorm.", "fc_norm."},
    {"layernorm.", "norm."},
    {"classifier.", "head."},
    {"cls_classifier.", "head."},
    {"distillation_classifier.", "head_dist."},
};

// "encoder.layer.3.output.dense.bias" → "blocks.3.mlp.fc2.bias", for the encoder and MAE's decoder.
std::string hf_name(const std::string& key) {
  static const Renames kLists = {{"encoder.layer.", "blocks."},
                                 {"decoder.decoder_layers.", "decoder_blocks."},
                                 {"decoder.decoder_encoder.layer.", "decoder_blocks."}};
  for (const auto& [from, to] : kLists) {
    if (!starts_with(key, from)) continue;
    const size_t dot = std::min(key.find('.', from.size()), key.size() - 1);
    return to + key.substr(from.size(), dot + 1 - from.size()) +
           rename(key.substr(dot + 1), kHfBlock);
  }
  if (starts_with(key, "decoder.")) return key.substr(8);
  return rename(key, kHfOuter);
}

at::Tensor join_rows(const NamedTensors& block, const std::string& kind, const std::string& place) {
  std::vector<at::Tensor> rows;
  for (const char* part : {"query.", "key.", "value."}) {
    const auto it = block.find(part + kind);
    require(it != block.end(), "{}: attention without {}{}", place, part, kind);
    require(it->second.sizes() == block.at("query." + kind).sizes(),
            "{}: query, key and value differ in shape",
            place);
    rows.push_back(it->second);
  }
  return torch::cat(rows, 0);
}

// query, key, value → qkv; without a key bias (BEiT) → q_bias and v_bias.
void join_qkv(NamedTensors& weights, const std::string& place) {
  std::map<std::string, NamedTensors> attentions;  // "blocks.0.attn." → "query.weight" …
  for (auto it = weights.begin(); it != weights.end();) {
    const size_t at = it->first.find(".attn.");
    const std::string tail = at == std::string::npos ? "" : it->first.substr(at + 6);
    if (starts_with(tail, "query.") || starts_with(tail, "key.") || starts_with(tail, "value.")) {
      attentions[it->first.substr(0, at + 6)][tail] = it->second;
      it = weights.erase(it);
    } else {
      ++it;
    }
  }
  for (const auto& [prefix, parts] : attentions) {
    weights[prefix + "qkv.weight"] = join_rows(parts, "weight", place);
    if (parts.contains("key.bias")) {
      weights[prefix + "qkv.bias"] = join_rows(parts, "bias", place);
    } else if (parts.contains("query.bias") && parts.contains("value.bias")) {
      weights[prefix + "q_bias"] = parts.at("query.bias");
      weights[prefix + "v_bias"] = parts.at("value.bias");
    }
  }
}

NamedTensors from_hf(const NamedTensors& weights,
                     const std::string& prefix,
                     const std::string& place) {
  NamedTensors renamed = unwrap(weights, prefix, hf_name);
  join_qkv(renamed, place);
  return renamed;
}

// --- official names → timm ----------------------------------------------------------------------

bool is_number(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// DINOv2 saved from FSDP chunks: "blocks.2.17.norm1" is block 17.
std::string without_chunk(const std::string& key) {
  if (!starts_with(key, "blocks.")) return key;
  const size_t first = key.find('.', 7);
  const size_t second = first == std::string::npos ? first : key.find('.', first + 1);
  if (second == std::string::npos || !is_number(key.substr(first + 1, second - first - 1)))
    return key;
  return "blocks." + key.substr(first + 1);
}

std::string official_name(const std::string& key) {
  if (key == "register_tokens") return "reg_token";
  const std::string name = without_chunk(key);
  if (name.ends_with(".gamma_1")) return name.substr(0, name.size() - 7) + "ls1.gamma";
  if (name.ends_with(".gamma_2")) return name.substr(0, name.size() - 7) + "ls2.gamma";
  return name;
}

// timm packs SwiGLU as fc1 [2 H, D] and fc2 [D, H]; the order of the halves is DINOv2's.
void unpack_swiglu(NamedTensors& weights) {
  const auto fc1 = weights.find("blocks.0.mlp.fc1.weight");
  const auto fc2 = weights.find("blocks.0.mlp.fc2.weight");
  if (fc1 == weights.end() || fc2 == weights.end() || fc2->second.dim() != 2 ||
      fc1->second.dim() != 2 || fc1->second.size(0) != 2 * fc2->second.size(1)) {
    return;
  }
  NamedTensors renamed;
  for (const auto& [key, tensor] : weights) {
    std::string name = key;
    for (const auto& [from, to] : Renames{{".mlp.fc1.", ".mlp.w12."}, {".mlp.fc2.", ".mlp.w3."}}) {
      const size_t at = key.find(from);
      if (at != std::string::npos) name = key.substr(0, at) + to + key.substr(at + from.size());
    }
    renamed[name] = tensor;
  }
  weights = std::move(renamed);
}

// Names that Vit may have, outside and inside blocks.
bool is_vit_name(const std::string& key) {
  static const std::set<std::string> kNames = {"cls_token",
                                               "dist_token",
                                               "pos_embed",
                                               "reg_token",
                                               "patch_embed.proj.weight",
                                               "head.weight",
                                               "head.bias",
                                               "head_dist.weight",
                                               "head_dist.bias",
                                               "norm.weight",
                                               "patch_embed.proj.bias",
                                               "fc_norm.weight",
                                               "fc_norm.bias",
                                               "norm.bias",
                                               "rel_pos_bias.relative_position_bias_table"};
  return starts_with(key, "blocks.") || kNames.contains(key);
}

// A classifier of something wider, as of several blocks' features, is not the Vit's.
bool head_fits(const NamedTensors& weights) {
  const auto head = weights.find("head.weight"), patch = weights.find(kPatchEmbed);
  return head == weights.end() || patch == weights.end() || head->second.dim() != 2 ||
         patch->second.dim() == 0 || head->second.size(1) == patch->second.size(0);
}

std::string family_of(const NamedTensors& weights,
                      const std::string& prefix,
                      const NamedTensors& renamed) {
  const auto has = [&](const char* key) { return renamed.contains(key); };
  if (has("decoder_pos_embed")) return "mae";
  if (weights.contains(prefix + "register_tokens") || weights.contains(prefix + "mask_token")) {
    if (has("blocks.0.attn.qkv.bias")) return "dinov2";
  }
  if (has("blocks.0.attn.q_bias")) return "beit";
  const bool distilled =
      prefix.find("teacher") != std::string::npos || prefix.find("backbone.") != std::string::npos;
  return distilled ? "dino" : "timm";
}

}  // namespace

NamedWeights rename_weights(const NamedTensors& weights,
                            const std::string& prefix,
                            const std::string& place) {
  NamedTensors renamed;
  NamedWeights split;
  if (weights.contains(prefix + kHfPatchEmbed)) {
    renamed = from_hf(weights, prefix, place);
    split.family = "hf";
  } else {
    renamed = unwrap(weights, prefix, official_name);
    split.family = family_of(weights, prefix, renamed);
  }
  unpack_swiglu(renamed);
  const bool own_head = head_fits(renamed);
  for (auto& [key, tensor] : renamed) {
    if (key.ends_with("relative_position_index")) continue;  // computed from the grid
    const bool head = starts_with(key, "head.") || starts_with(key, "head_dist.");
    (is_vit_name(key) && (own_head || !head) ? split.backbone : split.extra)[key] =
        std::move(tensor);
  }
  // Mean pooling replaces the final norm, whatever a file still holds of it.
  if (split.backbone.contains("fc_norm.weight")) {
    for (const char* key : {"norm.weight", "norm.bias"}) {
      if (auto node = split.backbone.extract(key)) split.extra.insert(std::move(node));
    }
  }
  return split;
}

NamedWeights rename_weights(const NamedTensors& weights, const std::string& place) {
  const auto networks = networks_in({{"", weights}}, place);
  return rename_weights(weights, networks.front().prefix, place);
}

}  // namespace previt
