#include "models/layers/block.h"

#include "models/layers/attention.h"
#include "models/layers/drop_path.h"
#include "models/layers/kernels.h"
#include "models/layers/layer_norm.h"
#include "models/layers/layer_scale.h"
#include "models/layers/mlp.h"

namespace previt {

Block::Block(const BlockOptions& o) : drop_path_(o.drop_path) {
  norm1_ = register_module("norm1", std::make_shared<LayerNorm>(o.dim, o.norm_eps));
  attn_ = register_module("attn",
                          std::make_shared<Attention>(o.dim, o.heads, o.qkv_bias, o.relative_rows));
  if (o.layer_scale > 0) {
    ls1_ = register_module("ls1", std::make_shared<LayerScale>(o.dim, o.layer_scale));
  }
  norm2_ = register_module("norm2", std::make_shared<LayerNorm>(o.dim, o.norm_eps));
  mlp_ = register_module("mlp", make_mlp(o.mlp, o.dim, o.mlp_ratio));
  if (o.layer_scale > 0) {
    ls2_ = register_module("ls2", std::make_shared<LayerScale>(o.dim, o.layer_scale));
  }
}

at::Tensor Block::add(const at::Tensor& x,
                      const at::Tensor& branch,
                      const std::shared_ptr<LayerScale>& scale) const {
  at::Tensor factors = scale ? scale->gamma : at::Tensor();
  if (is_training() && drop_path_ > 0) {
    const at::Tensor kept = drop_path_factors(x.size(0), drop_path_, x.device());
    factors = factors.defined() ? factors * kept : kept;
  }
  if (!factors.defined()) return add_residual(x, branch);
  return torch::addcmul(x, branch.to(x.scalar_type()), factors);
}

at::Tensor Block::forward(const at::Tensor& x,
                          const at::Tensor& bias,
                          int64_t first_query,
                          int64_t end_query) {
  const at::Tensor attended = attn_->forward(norm1_->forward(x), bias, first_query, end_query);
  const bool whole = first_query == 0 && end_query >= x.size(1);
  const at::Tensor out = add(whole ? x : x.slice(1, first_query, end_query), attended, ls1_);
  return add(out, mlp_->forward(norm2_->forward(out)), ls2_);
}

at::Tensor Block::attention_weights(const at::Tensor& x, const at::Tensor& bias) const {
  return attn_->weights(norm1_->forward(x), bias);
}

}  // namespace previt
