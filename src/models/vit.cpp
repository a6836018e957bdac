#include "models/vit.h"

#include "error.h"
#include "models/layers/attention.h"
#include "models/layers/block.h"
#include "models/layers/drop_path.h"
#include "models/layers/init.h"
#include "models/layers/layer_norm.h"
#include "models/layers/linear.h"
#include "models/layers/patch_embed.h"
#include "models/layers/pos_embed.h"
#include "models/layers/rel_pos_bias.h"

namespace previt {
namespace {

// The part of a position table that belongs to patches, [1, L, D].
at::Tensor patch_rows(const at::Tensor& table, int64_t patches) {
  return table.defined() ? table.slice(1, table.size(1) - patches) : table;
}

}  // namespace

Vit::Vit(VitOptions options) : options_(resolve(std::move(options))) {
  register_tokens_and_positions();
  const auto& o = options_;
  patch_embed = register_module(
      "patch_embed", std::make_shared<PatchEmbed>(o.patch_size, o.in_channels, o.embed_dim));
  register_blocks();
  register_norms();
  set_num_classes(o.num_classes);
  if (!WithoutWeights::now()) init_weights_timm();
}

void Vit::register_tokens_and_positions() {
  const auto& o = options_;
  if (o.cls_token) cls_token = register_parameter("cls_token", torch::zeros({1, 1, o.embed_dim}));
  if (o.dist_token) dist_token = register_parameter("dist_token", torch::zeros_like(cls_token));
  if (o.register_tokens > 0) {
    register_tokens =
        register_parameter("reg_token", torch::zeros({1, o.register_tokens, o.embed_dim}));
  }
  const int64_t prefix = o.num_prefix_positions();
  if (o.pos_embed == PosEmbed::learned) {
    pos_embed =
        register_parameter("pos_embed", torch::zeros({1, prefix + o.num_patches(), o.embed_dim}));
  } else if (o.pos_embed == PosEmbed::sincos) {
    const at::Tensor table =
        sincos_positions(o.embed_dim, o.grid_height(), o.grid_width(), prefix > 0);
    pos_embed = register_parameter("pos_embed", table.unsqueeze(0), /*requires_grad=*/false);
  }
}

void Vit::register_blocks() {
  const auto& o = options_;
  const int64_t rows = relative_position_rows(o.grid_height(), o.grid_width());
  const bool per_block =
      o.rel_pos_bias == RelPosBias::per_block || o.rel_pos_bias == RelPosBias::both;
  const auto rates = drop_path_rates(o.drop_path, o.drop_path_mode, o.depth);
  auto list = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < o.depth; ++i) {
    blocks_.push_back(list->register_module(
        std::to_string(i),
        std::make_shared<Block>(BlockOptions{.dim = o.embed_dim,
                                             .heads = o.num_heads,
                                             .attention_dim = o.attention_dim,
                                             .mlp_ratio = o.mlp_ratio,
                                             .mlp = o.mlp,
                                             .qkv_bias = o.qkv_bias,
                                             .layer_scale = o.layer_scale,
                                             .drop_path = rates[static_cast<size_t>(i)],
                                             .norm_eps = o.norm_eps,
                                             .relative_rows = per_block ? rows : 0})));
  }
  if (o.rel_pos_bias == RelPosBias::shared || o.rel_pos_bias == RelPosBias::both) {
    auto holder = register_module("rel_pos_bias", std::make_shared<torch::nn::Module>());
    shared_relative_table_ = holder->register_parameter("relative_position_bias_table",
                                                        torch::zeros({rows, o.num_heads}));
  }
}

void Vit::register_norms() {
  auto norm = std::make_shared<LayerNorm>(options_.embed_dim, options_.norm_eps);
  if (options_.pool == Pooling::avg) {
    fc_norm_ = register_module("fc_norm", norm);
  } else {
    norm_ = register_module("norm", norm);
  }
}

void Vit::set_num_classes(int64_t n, double init_std, bool dist_head) {
  const auto renew = [&](const char* name, std::shared_ptr<Linear>& head, bool wanted) {
    if (head) unregister_module(name);
    head = nullptr;
    if (!wanted) return;
    head = register_module(name, std::make_shared<Linear>(options_.embed_dim, n));
    head->to(patch_embed->weight().device());
    if (!WithoutWeights::now()) trunc_normal_(head->weight, init_std);
  };
  options_.num_classes = n;
  renew("head", head_, n > 0);
  renew("head_dist", head_dist_, n > 0 && options_.dist_token && dist_head);
}

at::Tensor Vit::positions(int64_t grid_height, int64_t grid_width) const {
  if (!pos_embed.defined()) return pos_embed;
  return resize_pos_embed(pos_embed,
                          options_.grid_height(),
                          options_.grid_width(),
                          grid_height,
                          grid_width,
                          pos_resize(options_.pos_resize));
}

at::Tensor Vit::assemble(at::Tensor patches,
                         const at::Tensor& table,
                         const at::Tensor& patch_positions) const {
  const int64_t batch = patches.size(0);
  const bool placed = table.defined() && options_.pos_embed_cls;
  std::vector<at::Tensor> parts;
  for (const at::Tensor& token : {cls_token, dist_token}) {
    if (!token.defined()) continue;
    const auto row = static_cast<int64_t>(parts.size());
    const at::Tensor whole = placed ? token + table.slice(1, row, row + 1) : token;
    parts.push_back(whole.expand({batch, -1, -1}));
  }
  if (register_tokens.defined()) parts.push_back(register_tokens.expand({batch, -1, -1}));
  parts.push_back(table.defined() ? patches + patch_positions : patches.to(torch::kFloat));
  return torch::cat(parts, 1);
}

at::Tensor Vit::embed(const at::Tensor& images,
                      const at::Tensor& patch_mask,
                      const at::Tensor& mask_token) {
  at::Tensor patches = patch_embed->forward(images).to(torch::kFloat);
  if (patch_mask.defined()) {
    require(patch_mask.dim() == 2 && patch_mask.size(0) == patches.size(0) &&
                patch_mask.size(1) == patches.size(1),
            "vit: patch_mask is {} instead of [{}, {}]",
            patch_mask.sizes().vec(),
            patches.size(0),
            patches.size(1));
    patches = torch::where(patch_mask.unsqueeze(-1), mask_token, patches);
  }
  const PatchGrid grid = patch_embed->grid(images);
  const at::Tensor table = positions(grid.height, grid.width);
  return assemble(patches, table, patch_rows(table, patches.size(1)));
}

at::Tensor Vit::embed_kept(const at::Tensor& images, const at::Tensor& kept_ids) {
  require(kept_ids.dim() == 2 && kept_ids.size(0) == images.size(0),
          "vit: kept_ids is {} instead of [{}, K]",
          kept_ids.sizes().vec(),
          images.size(0));
  const at::Tensor patches = patch_embed->forward_kept(images, kept_ids);
  const PatchGrid grid = patch_embed->grid(images);
  const at::Tensor table = positions(grid.height, grid.width);
  at::Tensor kept_rows;
  if (table.defined()) {
    kept_rows = patch_rows(table, grid.height * grid.width)[0]
                    .index_select(0, kept_ids.flatten())
                    .view(patches.sizes());
  }
  return assemble(patches, table, kept_rows);
}

const at::Tensor& Vit::relative_index(PatchGrid grid) {
  at::Tensor& index = relative_index_[{grid.height, grid.width}];
  const auto device = cls_token.device();  // resolve() demands one for relative positions
  if (!index.defined() || index.device() != device) {
    index = relative_position_index(grid.height, grid.width).to(device);
  }
  return index;
}

std::vector<at::Tensor> Vit::attention_biases(PatchGrid grid) {
  std::vector<at::Tensor> biases(blocks_.size());
  const auto& o = options_;
  if (o.rel_pos_bias == RelPosBias::none) return biases;
  const at::Tensor& index = relative_index(grid);
  const auto bias = [&](const at::Tensor& table) {
    return relative_position_bias(
        resize_relative_table(table, o.grid_height(), o.grid_width(), grid.height, grid.width),
        index);
  };
  if (o.rel_pos_bias == RelPosBias::shared) {
    std::fill(biases.begin(), biases.end(), bias(shared_relative_table_));
    return biases;
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const at::Tensor& own = blocks_[i]->attention().relative_position_bias_table;
    biases[i] = bias(o.rel_pos_bias == RelPosBias::both ? own + shared_relative_table_ : own);
  }
  return biases;
}

at::Tensor Vit::run_blocks(at::Tensor tokens, int64_t grid_height, int64_t grid_width) {
  const auto biases = attention_biases({grid_height, grid_width});
  for (size_t i = 0; i < blocks_.size(); ++i) tokens = blocks_[i]->forward(tokens, biases[i]);
  return tokens;
}

at::Tensor Vit::run_blocks_rows(at::Tensor tokens,
                                int64_t grid_height,
                                int64_t grid_width,
                                const at::Tensor& rows) {
  const auto biases = attention_biases({grid_height, grid_width});
  for (size_t i = 0; i + 1 < blocks_.size(); ++i) tokens = blocks_[i]->forward(tokens, biases[i]);
  return blocks_.back()->forward_rows(tokens, biases.back(), rows);
}

at::Tensor Vit::norm(const at::Tensor& tokens) const {
  return norm_ ? norm_->forward(tokens) : tokens;
}

at::Tensor Vit::only_norm(const at::Tensor& tokens) const {
  return (norm_ ? norm_ : fc_norm_)->forward(tokens);
}

at::Tensor Vit::forward_features(const at::Tensor& images) {
  const PatchGrid grid = patch_embed->grid(images);
  return norm(run_blocks(embed(images), grid.height, grid.width));
}

std::vector<at::Tensor> Vit::intermediate(const at::Tensor& images, int64_t n, bool normed) {
  const auto depth = static_cast<int64_t>(blocks_.size());
  require(n >= 1 && n <= depth, "vit: {} of {} blocks asked for", n, depth);
  at::Tensor tokens = embed(images);
  const auto biases = attention_biases(patch_embed->grid(images));
  std::vector<at::Tensor> outputs;
  for (int64_t i = 0; i < depth; ++i) {
    const auto at = static_cast<size_t>(i);
    tokens = blocks_[at]->forward(tokens, biases[at]);
    if (i >= depth - n) outputs.push_back(normed ? only_norm(tokens) : tokens);
  }
  return outputs;
}

at::Tensor Vit::attention(const at::Tensor& images, int64_t block) {
  const auto depth = static_cast<int64_t>(blocks_.size());
  const int64_t chosen = block < 0 ? block + depth : block;
  require(chosen >= 0 && chosen < depth, "vit: block {} of {} asked for", block, depth);
  at::Tensor tokens = embed(images);
  const auto biases = attention_biases(patch_embed->grid(images));
  for (size_t i = 0; i < static_cast<size_t>(chosen); ++i) {
    tokens = blocks_[i]->forward(tokens, biases[i]);
  }
  return blocks_[static_cast<size_t>(chosen)]->attention_weights(
      tokens, biases[static_cast<size_t>(chosen)]);
}

void Vit::each_attention(const at::Tensor& images,
                         const std::function<void(const at::Tensor&)>& use) {
  at::Tensor tokens = embed(images);
  const auto biases = attention_biases(patch_embed->grid(images));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    use(blocks_[i]->attention_weights(tokens, biases[i]));
    if (i + 1 < blocks_.size()) tokens = blocks_[i]->forward(tokens, biases[i]);
  }
}

at::Tensor Vit::pool(const at::Tensor& features) const {
  if (options_.pool == Pooling::cls) return features.select(1, 0);
  const at::Tensor mean = features.slice(1, num_prefix_tokens()).mean(1);
  return fc_norm_ ? fc_norm_->forward(mean) : mean;
}

at::Tensor Vit::class_tokens(const at::Tensor& images, int64_t count) {
  at::Tensor tokens = embed(images);
  const auto biases = attention_biases(patch_embed->grid(images));
  // Of the last block only these tokens are read, so only they are computed.
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const bool last = i + 1 == blocks_.size();
    tokens = blocks_[i]->forward(tokens, biases[i], 0, last ? count : Block::kAllTokens);
  }
  return norm_->forward(tokens);
}

at::Tensor Vit::pooled(const at::Tensor& images) {
  if (options_.pool == Pooling::cls) return class_tokens(images, 1).select(1, 0);
  return pool(forward_features(images));
}

std::vector<at::Tensor> Vit::head_logits(const at::Tensor& images) {
  require(head_ != nullptr, "vit: has no head to classify with");
  if (!head_dist_) return {head_->forward(pooled(images)).to(torch::kFloat)};
  const at::Tensor tokens = class_tokens(images, 2);
  return {head_->forward(tokens.select(1, 0)).to(torch::kFloat),
          head_dist_->forward(tokens.select(1, 1)).to(torch::kFloat)};
}

at::Tensor Vit::forward(const at::Tensor& images) {
  if (!head_) return pooled(images);
  const std::vector<at::Tensor> logits = head_logits(images);
  return logits.size() == 1 ? logits[0] : (logits[0] + logits[1]) / 2;
}

}  // namespace previt
