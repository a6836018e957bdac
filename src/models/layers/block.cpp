#include "models/layers/block.h"

#include <string>

#include "models/kernels/kernels.h"
#include "models/layers/activation_checkpoint.h"
#include "models/layers/layer_norm.h"
#include "models/layers/layer_scale.h"

namespace previt {

Block::Block(const BlockOptions& o) : drop_path_(o.drop_path) {
  norm1_ = register_module("norm1", std::make_shared<LayerNorm>(o.dim, o.norm_eps));
  attn_ = register_module("attn",
                          std::make_shared<Attention>(o.dim,
                                                      o.heads,
                                                      o.attention_dim > 0 ? o.attention_dim : o.dim,
                                                      o.qkv_bias,
                                                      o.relative_rows));
  if (o.layer_scale > 0) {
    ls1_ = register_module("ls1", std::make_shared<LayerScale>(o.dim, o.layer_scale));
  }
  norm2_ = register_module("norm2", std::make_shared<LayerNorm>(o.dim, o.norm_eps));
  mlp_ = register_module("mlp", make_mlp(o.mlp, o.dim, o.mlp_ratio));
  if (o.layer_scale > 0) {
    ls2_ = register_module("ls2", std::make_shared<LayerScale>(o.dim, o.layer_scale));
  }
}

DropPath Block::draw(const at::Tensor& x) const {
  return is_training() && drop_path_ > 0 ? draw_drop_path(x, drop_path_) : DropPath{};
}

DropPath Block::draw_rows(const at::Tensor& x, const at::Tensor& image_of_row) const {
  if (!is_training() || drop_path_ == 0) return {};
  const at::Tensor factors = drop_path_factors(x.size(0), drop_path_, x.device());
  return {factors.flatten(1).index_select(0, image_of_row), {}, 1};
}

at::Tensor Block::add(const at::Tensor& x,
                      const at::Tensor& branch,
                      const std::shared_ptr<LayerScale>& scale,
                      const DropPath& drop) {
  if (drop.kept.defined()) {
    const at::Tensor scaled = scale ? branch.to(x.scalar_type()) * scale->gamma : branch;
    return add_residual(x, scaled, drop.kept, drop.scale);
  }
  // LayerScale and drop path are one factor, so that the branch is multiplied once.
  at::Tensor factors = scale ? scale->gamma : at::Tensor();
  if (drop.factors.defined()) factors = factors.defined() ? factors * drop.factors : drop.factors;
  if (!factors.defined()) return add_residual(x, branch);
  // A GPU widens the branch in the same pass.
  return torch::addcmul(x, x.is_cpu() ? branch.to(x.scalar_type()) : branch, factors);
}

at::Tensor Block::forward(const at::Tensor& x,
                          const at::Tensor& bias,
                          int64_t first_query,
                          int64_t end_query) {
  if (!checkpointed_) return compute(x, bias, first_query, end_query);
  const Computation again = [=, this](const at::Tensor& input, const at::Tensor& own_bias) {
    return compute(input, own_bias, first_query, end_query);
  };
  return checkpointed(again, x, bias, parameters());
}

at::Tensor Block::compute(const at::Tensor& x,
                          const at::Tensor& bias,
                          int64_t first_query,
                          int64_t end_query) const {
  const DropPath first = draw(x);
  // The branch sees only the kept images, so it needs only their biases.
  const bool bias_per_image = bias.defined() && bias.dim() == 4 && bias.size(0) > 1;
  const at::Tensor own_bias =
      bias_per_image && first.kept.defined() ? bias.index_select(0, first.kept) : bias;
  const auto [stream, normed] = norm1_->fork(x, first.kept);
  const at::Tensor attended = attn_->forward(normed, own_bias, first_query, end_query);
  const bool whole = first_query == 0 && end_query >= x.size(1);
  const at::Tensor own = whole ? stream : stream.slice(1, first_query, end_query);
  return add_both(own, attended, first, draw(x));
}

at::Tensor Block::forward_rows(const at::Tensor& x,
                               const at::Tensor& bias,
                               const at::Tensor& rows) {
  if (!checkpointed_) return compute_rows(x, bias, rows);
  const Computation again = [=, this](const at::Tensor& input, const at::Tensor& own_bias) {
    return compute_rows(input, own_bias, rows);
  };
  return checkpointed(again, x, bias, parameters());
}

at::Tensor Block::compute_rows(const at::Tensor& x,
                               const at::Tensor& bias,
                               const at::Tensor& rows) const {
  const auto [stream, normed] = norm1_->fork(x);
  const at::Tensor attended = attn_->forward_rows(normed, bias, rows);
  const at::Tensor image = rows.div(x.size(1), "floor");
  const DropPath first = draw_rows(x, image), second = draw_rows(x, image);
  const at::Tensor own = stream.flatten(0, 1).index_select(0, rows);
  return add_both(own, attended, first, second);
}

at::Tensor Block::add_both(const at::Tensor& x,
                           const at::Tensor& attended,
                           const DropPath& first,
                           const DropPath& second) const {
  const bool whole = !ls1_ && !first.factors.defined() && !first.kept.defined();
  const auto [stream, normed] = whole ? norm2_->add_and_fork(x, attended, second.kept)
                                      : norm2_->fork(add(x, attended, ls1_, first), second.kept);
  return add(stream, mlp_->forward(normed), ls2_, second);
}

void checkpoint_blocks(const torch::nn::Module& network, int64_t count) {
  for (const auto& item : network.named_modules("", /*include_self=*/false)) {
    const auto block = std::dynamic_pointer_cast<Block>(item.value());
    if (!block) continue;
    const int64_t place = std::stoll(item.key().substr(item.key().rfind('.') + 1));
    block->set_checkpointed(count < 0 || place < count);
  }
}

at::Tensor Block::attention_weights(const at::Tensor& x, const at::Tensor& bias) const {
  return attn_->weights(norm1_->forward(x), bias);
}

}  // namespace previt
