#include "models/onnx/vit_weights.h"

#include <torch/types.h>

#include <cmath>
#include <vector>

#include "error.h"
#include "models/vit.h"

namespace previt::onnx {
namespace {

Layer rows(const Layer& layer, int64_t begin, int64_t end) {
  return {layer.weight.slice(0, begin, end),
          layer.bias.defined() ? layer.bias.slice(0, begin, end) : layer.bias};
}

}  // namespace

VitWeights::VitWeights(const Vit& vit) : options_(vit.options()) {
  for (const auto& item : vit.named_parameters()) weights_[item.key()] = item.value().detach();
}

at::Tensor VitWeights::get(const std::string& name) const {
  const auto it = weights_.find(name);
  return it == weights_.end() ? at::Tensor() : it->second;
}

Layer VitWeights::layer(const std::string& name) const {
  return {get(name + ".weight"), get(name + ".bias")};
}

// A patch has no padding, so normalisation can be a part of its projection.
Layer VitWeights::projection(const NormalizeOptions* raw) const {
  const Layer own = layer("patch_embed.proj");
  if (raw == nullptr) return own;
  require(std::ssize(raw->mean) == options_.in_channels,
          "normalize.mean: has {} channels and the network {}",
          raw->mean.size(),
          options_.in_channels);
  const auto per_channel = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kDouble).view({1, -1, 1, 1});
  };
  const at::Tensor scaled = own.weight.to(torch::kDouble) / per_channel(raw->std);
  const at::Tensor shift = (scaled * per_channel(raw->mean)).sum({1, 2, 3});
  return {scaled / 255, own.bias - shift};
}

at::Tensor VitWeights::prefix() const {
  const at::Tensor table = get("pos_embed");
  const bool placed = table.defined() && options_.pos_embed_cls;
  std::vector<at::Tensor> tokens;
  for (const char* name : {"cls_token", "dist_token"}) {
    const at::Tensor token = get(name);
    if (!token.defined()) continue;
    const auto row = std::ssize(tokens);
    tokens.push_back(placed ? token + table.slice(1, row, row + 1) : token);
  }
  if (const at::Tensor own = get("reg_token"); own.defined()) tokens.push_back(own);
  return tokens.empty() ? at::Tensor() : torch::cat(tokens, 1);
}

at::Tensor VitWeights::places() const {
  const at::Tensor table = get("pos_embed");
  return table.defined() ? table.slice(1, options_.num_prefix_positions()) : table;
}

Layer VitWeights::attention_part(const std::string& block, int64_t part) const {
  const int64_t width = options_.attention_width();
  Layer packed = layer(block + ".attn.qkv");
  if (const at::Tensor q = get(block + ".attn.q_bias"); q.defined()) {
    packed.bias = torch::cat({q, torch::zeros_like(q), get(block + ".attn.v_bias")});
  }
  Layer own = rows(packed, part * width, (part + 1) * width);
  if (part != 0) return own;
  const double scale = 1 / std::sqrt(static_cast<double>(width / options_.num_heads));
  return {own.weight * scale, own.bias.defined() ? own.bias * scale : own.bias};
}

Layer VitWeights::scaled(const std::string& name, const std::string& scale) const {
  const Layer own = layer(name);
  const at::Tensor gamma = get(scale + ".gamma");
  if (!gamma.defined()) return own;
  return {own.weight * gamma.unsqueeze(1), own.bias * gamma};
}

Layer VitWeights::half(const std::string& name, int64_t which) const {
  const Layer both = layer(name);
  const int64_t size = both.weight.size(0) / 2;
  return rows(both, which * size, (which + 1) * size);
}

}  // namespace previt::onnx
